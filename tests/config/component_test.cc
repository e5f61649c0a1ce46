// SPDX-License-Identifier: Apache-2.0
#include "framework/config/component.h"

#include "framework/config/yaml_reader.h"
#include "framework/core/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace triptych::config {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Shape {
 public:
  static constexpr const char* kKind = "shape";
  virtual ~Shape() = default;
  virtual double area() const = 0;
};
using ShapeRegistry = Registry<Shape, const double&>;

class Square final : public Shape {
 public:
  struct Config {
    double side = 1.0;
    void visit(auto& field) { field("side", side, "edge", Above{0.0}); }
  };
  Square(const Config& config, const double& scale) : area_(scale * config.side * config.side) {}
  double area() const override { return area_; }

 private:
  double area_;
};

TRIPTYCH_REGISTER_COMPONENT(ShapeRegistry, "square", Square)
TRIPTYCH_REGISTER_COMPONENT(ShapeRegistry, "square", Square)
TRIPTYCH_REGISTER_COMPONENT(ShapeRegistry, "Bad-Name", Square)

std::string message_of(const std::string& yaml) {
  try {
    ShapeRegistry::instance().create(parse_yaml(yaml, "f"), 1.0);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

TEST(Registry, MakesTheComponentThatTheConfigurationNames) {
  EXPECT_EQ(
      ShapeRegistry::instance().create(parse_yaml("{name: square, side: 3}", "f"), 2.0)->area(),
      18.0);
}

TEST(Registry, RecordsRepeatedAndBadNamesInsteadOfThrowing) {
  const std::vector<std::string> mistakes = ShapeRegistry::instance().duplicates();
  ASSERT_EQ(mistakes.size(), 2U);
  EXPECT_THAT(mistakes[0],
              ::testing::MatchesRegex(
                  ".*component_test.cc:[0-9]+: shape 'square' is registered already at .*:[0-9]+"));
  EXPECT_THAT(mistakes[1], HasSubstr("name 'Bad-Name' of a shape must match"));
}

TEST(Registry, ListsWhatIsRegisteredForAnUnknownName) {
  EXPECT_EQ(message_of("{name: sqare}"),
            "f:1:8: no shape is called 'sqare'; did you mean 'square'? Registered: square");
  EXPECT_EQ(message_of("{side: 1}"),
            "f:1:1: missing required 'name' of a shape. Registered: square");
  EXPECT_THAT(message_of("{name: square, side: 0}"),
              HasSubstr("f:1:22: 'side' must be > 0, got 0"));
}

TEST(Registry, CanBeWalkedWithoutKnowingItsTypes) {
  const AnyRegistry* registry = AnyRegistry::of_kind("shape");
  ASSERT_NE(registry, nullptr);
  EXPECT_THAT(registry->names(), ElementsAre("square"));
  EXPECT_EQ(registry->describe("square")[0].name, "side");
  EXPECT_THAT(registry->source_file("square"),
              ::testing::EndsWith("tests/config/component_test.cc"));
  const Node node = parse_yaml("{name: square, sid: 1}", "f");
  Problems problems;
  const Problems::Scope scope = problems.enter("shapes.a", node);
  registry->check(node, problems);
  EXPECT_THAT(problems.lines(),
              ElementsAre(HasSubstr("unknown key 'shapes.a.sid'; did you mean 'side'?")));
}

}  // namespace
}  // namespace triptych::config
