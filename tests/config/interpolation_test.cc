// SPDX-License-Identifier: Apache-2.0
#include "framework/config/interpolation.h"

#include "framework/config/yaml_reader.h"
#include "framework/core/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace triptych::config {
namespace {

using ::testing::HasSubstr;

std::string resolved(const std::string& yaml) {
  return python_repr(resolve(parse_yaml(yaml, "f.yaml")));
}

std::string error_of(const std::string& yaml) {
  try {
    const Node node = parse_yaml(yaml, "f.yaml");
    check_interpolation_syntax(node);
    resolve(node);
  } catch (const ConfigError& error) {
    return error.category() + ": " + error.what();
  }
  return "";
}

TEST(Interpolation, KeepsTheTypeOfASoleInterpolation) {
  EXPECT_EQ(resolved("{a: 1, b: '${a}', c: '${a}x', d: '${ a }'}"),
            "{'a': 1, 'b': 1, 'c': '1x', 'd': 1}");
}

TEST(Interpolation, ClimbsOneContainerADot) {
  EXPECT_EQ(resolved("x: 0\nl:\n- {a: 1, b: '${.a}', c: '${..1.a}', d: '${...x}'}\n- {a: 2}\n"),
            "{'x': 0, 'l': [{'a': 1, 'b': 1, 'c': 2, 'd': 0}, {'a': 2}]}");
}

TEST(Interpolation, KeepsRelativeMeaningThroughACopy) {
  EXPECT_EQ(resolved("{base: {x: 1, y: '${.x}'}, alias: '${base}', z: '${alias.y}'}"),
            "{'base': {'x': 1, 'y': 1}, 'alias': {'x': 1, 'y': 1}, 'z': 1}");
}

TEST(Interpolation, NamesPlacesAndNearestKeys) {
  EXPECT_EQ(error_of("abc: 1\nb: ${abd}"),
            "interpolation_key_not_found: f.yaml:2:4: '${abd}' finds no 'abd'; did you mean 'abc'? "
            "Known keys: abc, b");
  EXPECT_THAT(error_of("a: ???\nb: ${a}"), HasSubstr("interpolation_to_missing: f.yaml:2:4"));
  EXPECT_THAT(
      error_of("a: ${oc.evn:X}"),
      HasSubstr(
          "unknown_resolver: f.yaml:1:4: ${oc.evn:...}: no such resolver; did you mean 'oc.env'?"));
}

TEST(Interpolation, FindsCyclesOfAnyLength) {
  EXPECT_THAT(error_of("a: ${a}"), HasSubstr("interpolation_cycle"));
  EXPECT_THAT(error_of("a: {b: '${a}'}"), HasSubstr("interpolation_cycle"));
  EXPECT_THAT(error_of("a: ${oc.select:b}\nb: ${a}"), HasSubstr("interpolation_cycle"));
}

TEST(Interpolation, RefusesBadSyntax) {
  for (const char* text : {"${",
                           "${}",
                           "${a",
                           "${a.}",
                           "${a..b}",
                           "${a[}",
                           "${.}",
                           "${a b}",
                           "${f:(}",
                           "${f:[1}",
                           "${f:{a}}",
                           "x${a"}) {
    EXPECT_THAT(error_of(std::string("a: '") + text + "'"), HasSubstr("interpolation_syntax"))
        << text;
  }
}

TEST(Interpolation, BoundsExponentialTexts) {
  std::string yaml = "a0: xxxxxxxxxxxxxxxx\n";
  for (int i = 1; i < 40; ++i) yaml += fmt::format("a{0}: ${{a{1}}}${{a{1}}}\n", i, i - 1);
  EXPECT_THAT(error_of(yaml), HasSubstr("resolver_error"));
}

TEST(Interpolation, EscapesSoThatResolvingGivesTheSameText) {
  const Node node = parse_yaml("['${a}', '\\${a}', 'x\\\\${b}', 'a\\b', '\\']", "f");
  EXPECT_TRUE(resolve(escape_interpolations(node)) == node);
}

TEST(Interpolation, ReportsDeprecatedKeys) {
  std::vector<std::string> warnings;
  const Node node = parse_yaml("{a: 1, b: '${oc.deprecated:a}'}", "f");
  EXPECT_EQ(resolve(node, {.hydra = nullptr, .now = 0, .warnings = &warnings}).at("b").as_int(), 1);
  EXPECT_EQ(warnings.size(), 1U);
}

}  // namespace
}  // namespace triptych::config
