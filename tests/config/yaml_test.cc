// SPDX-License-Identifier: Apache-2.0
#include "framework/config/yaml_reader.h"
#include "framework/config/yaml_writer.h"
#include "framework/core/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace triptych::config {
namespace {

std::string category_of(const std::string& yaml) {
  try {
    parse_yaml(yaml, "f.yaml");
  } catch (const ConfigError& error) {
    return error.category();
  }
  return "";
}

std::string repr(const std::string& yaml) { return python_repr(parse_yaml(yaml, "f.yaml")); }

// Expected values: PyYAML 6.0.3 with OmegaConf's loader.
TEST(YamlReader, ReadsScalarsAsPyYaml) {
  EXPECT_EQ(repr("[010, 08, 0b1_0, -0x1F, 0o7, 1_000, +12:30, 0:30, 1:60, 12:5:6.7]"),
            "[8, '08', 2, -31, '0o7', 1000, 750, '0:30', '1:60', 43506.7]");
  EXPECT_EQ(repr("[1e3, 1.e3, .5, .5e3, .5e+3, -.5, 5., _1, 1_, .inf, -.Inf, .NAN, inf]"),
            "[1000.0, 1000.0, 0.5, '.5e3', 500.0, '-.5', 5.0, '_1', 1, inf, -inf, nan, 'inf']");
  EXPECT_EQ(repr("[yes, No, ON, off, y, N, true, tRUE, ~, Null, nULL, 2024-01-31]"),
            "[True, False, True, False, 'y', 'N', True, 'tRUE', None, None, 'nULL', '2024-01-31']");
}

TEST(YamlReader, ReadsEscapesAsWholeCharacters) {
  EXPECT_EQ(parse_yaml(R"("a\N\_b")", "f.yaml").as_string(),
            "a\xc2\x85\xc2\xa0"
            "b");
}

TEST(YamlReader, MergesMapsInheritedKeysFirst) {
  EXPECT_EQ(
      repr("b: &b {x: 1, y: 2}\nd: &d {x: 5, w: 2}\nc:\n  q: 1\n  <<: [*b, *d]\n  y: 3"),
      "{'b': {'x': 1, 'y': 2}, 'd': {'x': 5, 'w': 2}, 'c': {'x': 1, 'w': 2, 'y': 3, 'q': 1}}");
}

TEST(YamlReader, KnowsWhereKeysAndValuesStand) {
  const Node node = parse_yaml("a:\n  - b: 1\n", "f.yaml");
  EXPECT_EQ(node.at("a.0.b").mark().text(), "f.yaml:2:8");
  EXPECT_EQ(node.at("a.0").as_map()[0].key.mark().text(), "f.yaml:2:5");
}

TEST(YamlReader, RefusesWhatItCannotMean) {
  EXPECT_EQ(category_of("a: 1\na: 2"), "yaml_duplicate_key");
  EXPECT_EQ(category_of("1: a\n1: b"), "yaml_duplicate_key");
  EXPECT_EQ(category_of("~: 1"), "bad_key_type");
  EXPECT_EQ(category_of("? [a]\n: 1"), "bad_key_type");
  EXPECT_EQ(category_of("a: [1"), "yaml_syntax");
  EXPECT_EQ(category_of("a: !foo 1"), "yaml_syntax");
  EXPECT_EQ(category_of("--- a\n--- b"), "yaml_syntax");
  EXPECT_EQ(category_of("a: 9223372036854775808"), "yaml_syntax");
  EXPECT_EQ(category_of("a: \xff"), "yaml_syntax");
  EXPECT_EQ(category_of("a: &x [*x]"), "yaml_syntax");
}

TEST(YamlReader, BoundsDepthAndExpansion) {
  EXPECT_EQ(category_of(std::string(1000, '[') + std::string(1000, ']')), "yaml_syntax");
  std::string laughs = "a0: &a0 [x, x]\n";
  for (int i = 1; i < 40; ++i) {
    laughs += fmt::format("a{0}: &a{0} [*a{1}, *a{1}]\n", i, i - 1);
  }
  EXPECT_EQ(category_of(laughs), "yaml_syntax");
}

TEST(YamlWriter, QuotesTextThatWouldReadAsAnotherType) {
  Node list = Node::list();
  for (const char* text : {"yes",  "010", "1e3", "2024-01-31", "",     " a",       "a: b",   "a #b",
                           "-",    "- a", "-a",  "it's",       "a\nb", "\xc2\x85", "${a.b}", "y",
                           "null", "[a]", "a:",  "???",        "=",    "a,b"}) {
    list.as_list().emplace_back(text);
  }
  EXPECT_TRUE(parse_yaml(to_yaml(list), "g") == list) << to_yaml(list);
  EXPECT_TRUE(parse_yaml(to_flow_yaml(list), "g") == list) << to_flow_yaml(list);
}

TEST(YamlWriter, LaysOutAsPyYaml) {
  const Node node = parse_yaml(
      "{a: [1, {b: 2, c: [3]}, [4, 5], []], d: {}, e: 1e-5, f: {g: null}, h: .inf}", "f.yaml");
  EXPECT_EQ(to_yaml(node),
            "a:\n- 1\n- b: 2\n  c:\n  - 3\n- - 4\n  - 5\n- []\nd: {}\ne: 1.0e-05\nf:\n  g: "
            "null\nh: .inf\n");
}

TEST(YamlWriter, CommentsValuesWithTheirOrigin) {
  EXPECT_EQ(to_yaml(parse_yaml("a: 1\nb: [x]", "f.yaml"), {.origins = true}),
            "a: 1  # f.yaml:1:4\nb:\n- x  # f.yaml:2:5\n");
}

TEST(PythonText, WritesNumbersAsPython) {
  EXPECT_EQ(python_float(1.0), "1.0");
  EXPECT_EQ(python_float(0.0001), "0.0001");
  EXPECT_EQ(python_float(0.00001), "1e-05");
  EXPECT_EQ(python_float(1e15), "1000000000000000.0");
  EXPECT_EQ(python_float(1e16), "1e+16");
  EXPECT_EQ(python_float(1.5e300), "1.5e+300");
  EXPECT_EQ(python_float(-0.0), "-0.0");
  EXPECT_EQ(python_repr(Node("it's")), "\"it's\"");
}

}  // namespace
}  // namespace triptych::config
