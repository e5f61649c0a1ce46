// SPDX-License-Identifier: Apache-2.0
#include "framework/config/fields.h"

#include "framework/config/yaml_reader.h"
#include "framework/config/yaml_writer.h"
#include "framework/core/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace triptych::config {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Term {
  std::string name = "dice";
  double weight = 1.0;
  void visit(auto& field) {
    field("name", name, "name of the loss");
    field("weight", weight, "factor", Above{0.0});
  }
};

struct Example {
  std::int64_t num_classes = 0;
  double dropout = 0.0;
  std::string activation = "mish";
  std::vector<std::int64_t> patch = {64, 64, 64};
  std::array<double, 2> window = {0.0, 1.0};
  std::optional<double> clip;
  bool flag = true;
  Term term;
  std::vector<Term> terms;
  std::map<std::string, double> weights;
  std::map<std::string, Term> named;
  Node loss;
  void visit(auto& field) {
    field("num_classes", num_classes, "classes including background", Need::kRequired, AtLeast{2});
    field("dropout", dropout, "probability", Between{0.0, 1.0});
    field("activation", activation, "function", OneOf{"relu", "mish"});
    field("patch", patch, "patch [D, H, W]", AtLeast{1}, Length{3}, Unit{"voxels"});
    field("window", window, "grey values");
    field("clip", clip, "norm", Above{0.0});
    field("flag", flag, "a flag");
    field("term", term, "one term");
    field("terms", terms, "terms");
    field("weights", weights, "factors");
    field("named", named, "terms by name");
    field("loss", loss, "a loss");
  }
  void validate(Problems& problems) const {
    if (clip && flag) problems.add("clip", "cannot be used with flag");
  }
};

std::vector<std::string> problems_of(const std::string& yaml) {
  const Node node = parse_yaml(yaml, "f.yaml");
  Problems problems;
  read<Example>(node, problems);
  return problems.lines();
}

TEST(Fields, ReadsEveryKindOfMember) {
  const auto config =
      read<Example>(parse_yaml("{num_classes: 3, dropout: 1, patch: [1, 2, 3], window: [2, 3.5], "
                               "clip: 0.5, flag: no, term: {weight: 2},\n"
                               " terms: [{name: a}, {weight: 3}], weights: {x: 1, 7: 2.5}, named: "
                               "{n: {name: b}}, loss: {deep: [1]}}",
                               "f"));
  EXPECT_EQ(config.num_classes, 3);
  EXPECT_EQ(config.dropout, 1.0);
  EXPECT_THAT(config.patch, ElementsAre(1, 2, 3));
  EXPECT_EQ(config.window[1], 3.5);
  EXPECT_EQ(config.clip, 0.5);
  EXPECT_FALSE(config.flag);
  EXPECT_EQ(config.term.weight, 2.0);
  EXPECT_EQ(config.terms[1].weight, 3.0);
  EXPECT_EQ(config.weights.at("7"), 2.5);
  EXPECT_EQ(config.named.at("n").name, "b");
  EXPECT_EQ(config.loss.at("deep.0").as_int(), 1);
}

TEST(Fields, KeepsDefaultsOfWhatIsLeftOut) {
  const auto config = read<Example>(parse_yaml("num_classes: 2", "f"));
  EXPECT_THAT(config.patch, ElementsAre(64, 64, 64));
  EXPECT_EQ(config.activation, "mish");
  EXPECT_FALSE(config.clip.has_value());
}

TEST(Fields, CollectsEveryProblemWithItsPlace) {
  EXPECT_THAT(
      problems_of("num_classes: 1\ndropout: 2\nactivation: relo\npatch: [1, 0]\nclip: yes\nterms: "
                  "[{wieght: 1}]\n"),
      ElementsAre(
          "f.yaml:1:14: 'num_classes' must be >= 2, got 1",
          "f.yaml:2:10: 'dropout' must be between 0 and 1, got 2",
          "f.yaml:3:13: 'activation' must be one of relu, mish, got 'relo'; did you mean 'relu'?",
          "f.yaml:4:8: 'patch' must have 3 elements, got 2: [1, 0]",
          "f.yaml:5:7: 'clip' expects a number, got true",
          "f.yaml:6:10: unknown key 'terms[0].wieght'; did you mean 'weight'? Known keys: name, "
          "weight"));
}

TEST(Fields, TakesNoInfinityWhereThereAreBounds) {
  EXPECT_THAT(problems_of("{num_classes: 2, dropout: .inf, weights: {a: .inf}}"),
              ElementsAre("f.yaml:1:27: 'dropout' must be finite, got inf"));
}

TEST(Fields, NamesMissingRequiredKeysAndPlaceholders) {
  EXPECT_THAT(
      problems_of("dropout: ???"),
      ElementsAre(
          "f.yaml:1:1: missing required 'num_classes' (integer: classes including background)",
          "f.yaml:1:10: missing required 'dropout' (number: probability)"));
}

TEST(Fields, TakesNoFloatForAnIntegerAndNoNumberForText) {
  EXPECT_THAT(
      problems_of("{num_classes: 4.0, activation: 3}"),
      ElementsAre("f.yaml:1:15: 'num_classes' expects an integer, got '4.0'",
                  "f.yaml:1:32: 'activation' expects text, got '3'; quote it to make it text"));
}

TEST(Fields, ChecksRulesAcrossFieldsOnlyOnSoundValues) {
  EXPECT_THAT(problems_of("{num_classes: 2, clip: 1}"),
              ElementsAre("f.yaml:1:24: 'clip' cannot be used with flag"));
  EXPECT_EQ(problems_of("{num_classes: 1, clip: 1}").size(), 1U);
}

TEST(Fields, ThrowsAllProblemsAtOnceWithTheFullPath) {
  try {
    read<Example>(parse_yaml("{num_classes: 1, x: 1}", "f"), "tasks.a.head");
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_EQ(error.category(), "schema");
    EXPECT_EQ(error.exit_code(), 2);
    EXPECT_THAT(error.what(),
                HasSubstr("'tasks.a.head.num_classes' must be >= 2, got 1\nf:1:18: unknown key "
                          "'tasks.a.head.x'"));
  }
}

TEST(Fields, AllowsTheNameOfAComponentOnlyWhereOneIsRead) {
  const Node node = parse_yaml("{name: segmentation, num_classes: 2}", "f");
  EXPECT_EQ(read_component<Example>(node).num_classes, 2);
  EXPECT_THROW(read<Example>(node), ConfigError);
}

TEST(Fields, WriteAndReadGiveTheSame) {
  Example config;
  config.num_classes = 5;
  config.clip = 0.25;
  config.flag = false;
  config.terms.resize(2);
  config.named["k"].weight = 4;
  config.loss = parse_yaml("{a: [1, x]}", "f");
  const Node written = write(config);
  EXPECT_EQ(written.at("patch").size(), 3U);
  EXPECT_TRUE(write(read<Example>(written)) == written);
  EXPECT_TRUE(parse_yaml(to_yaml(written), "g") == written);
}

TEST(Fields, DescribesFieldsOfNestedStructsWithDots) {
  const std::vector<FieldInfo> rows = describe<Example>();
  ASSERT_GE(rows.size(), 8U);
  EXPECT_EQ(rows[0].name, "num_classes");
  EXPECT_TRUE(rows[0].required);
  EXPECT_EQ(rows[0].default_text, "");
  EXPECT_EQ(rows[3].default_text, "[64, 64, 64]");
  EXPECT_EQ(rows[3].bounds, ">= 1; 3 elements; in voxels");
  std::vector<std::string> names;
  for (const FieldInfo& row : rows) names.push_back(row.name);
  EXPECT_THAT(names,
              ::testing::IsSupersetOf({"term.weight", "terms[].weight", "named.<name>.name"}));
}

}  // namespace
}  // namespace triptych::config
