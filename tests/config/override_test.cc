// SPDX-License-Identifier: Apache-2.0
#include "framework/config/override.h"

#include "framework/config/decimal.h"
#include "framework/config/sweep.h"
#include "framework/core/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace triptych::config {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string error_of(const std::string& word) {
  try {
    parse_override(word, Mark::at_word(2));
  } catch (const ConfigError& error) {
    return error.category() + ": " + error.what();
  }
  return "";
}

TEST(Override, TakesKeysApart) {
  const Override word = parse_override("++a/b@c.$d-e.0=1", {});
  EXPECT_EQ(word.type, Override::Type::kForceAdd);
  EXPECT_EQ(word.key, "a/b");
  EXPECT_EQ(word.package, "c.$d-e.0");
  EXPECT_EQ(word.key_text(), "++a/b@c.$d-e.0");
}

TEST(Override, NamesTheWordAndTheCharacter) {
  EXPECT_EQ(
      error_of("a=[1,]"),
      "override_syntax: command line, word 2 'a=[1,]': expected a value at character 6, got ']'");
  EXPECT_EQ(error_of("a=~b"),
            "override_syntax: command line, word 2 'a=~b': unexpected character ~ at character 3");
  EXPECT_EQ(
      error_of("a='b"),
      "override_syntax: command line, word 2 'a='b': the quote ' at character 3 is never closed");
  EXPECT_THAT(error_of("seed"), HasSubstr("is no override: '=' is missing"));
  EXPECT_THAT(error_of("a=srot(1)"),
              HasSubstr("unknown_function: command line, word 2 'a=srot(1)': no function 'srot'; "
                        "did you mean 'sort'?"));
}

TEST(Override, RefusesWhatTheGrammarDoes) {
  for (const char* word :
       {"a =1",       "a[0]=1",    "1a=1",  "a..b=1", "a.=1", ".a=1", "=1",     "a='b'c",
        "a=b'c'",     "a={'k':1}", "a={k}", "a=[1",   "a=1]", "a=1,", "a=,1",   "a=b=c",
        "a=\xc3\xa9", "a=f(1",     "a=#",   "+",      "~",    "a@=1", "a.b/c=1"}) {
    EXPECT_THAT(error_of(word), ::testing::StartsWith("override_syntax")) << word;
  }
  for (const char* word : {"a=int(x)",
                           "a=int()",
                           "a=bool(maybe)",
                           "a=range(x)",
                           "a=sort(1,x)",
                           "a=choice()",
                           "a=glob(1)",
                           "a=int(1,value=2)",
                           "a=sort([1],foo=2)",
                           "a=[choice(1,2)]",
                           "a=tag(x)",
                           "a=str(interval(0,1))"}) {
    EXPECT_THAT(error_of(word), ::testing::StartsWith("bad_function_call")) << word;
  }
}

TEST(Override, WritesValuesThatParseToTheSame) {
  for (const char* word : {"a=1",
                           "a=-1.5e-07",
                           "a=null",
                           "a=True",
                           "a='it\\'s'",
                           "a='b\\\\'",
                           "a=x\\ y",
                           "a=[1,'a',{b:c d}]",
                           "a={1:x}",
                           "a=$\\{b\\}",
                           "a=C:\\data",
                           "a=\"q\"",
                           "a=inf",
                           "a='\\'\\''"}) {
    const Override first = parse_override(word, {});
    const Override second = parse_override("a=" + first.element().text(), {});
    EXPECT_TRUE(first.node() == second.node()) << word << " -> " << first.element().text();
  }
}

TEST(Override, FillsANodeForVerbsThatComposeNothing) {
  const Node node =
      words_to_node({"run=out/1", "input.image=a.nii.gz", "+spacing=[1,2,3]", "n=1", "~n"});
  EXPECT_EQ(node.at("input.image").as_string(), "a.nii.gz");
  EXPECT_EQ(node.at("spacing").size(), 3U);
  EXPECT_EQ(node.find("n"), nullptr);
  EXPECT_EQ(node.at("run").mark().text(), "command line, word 1");
  EXPECT_THROW(words_to_node({"a/b=1"}), ConfigError);
  EXPECT_THROW(words_to_node({"a=1,2"}), ConfigError);
}

TEST(Sweep, StepsRangesInDecimals) {
  const ConfigRepository repository({});
  const auto values = [&](const char* word) {
    return sweep_values(parse_override(word, {}), repository);
  };
  EXPECT_THAT(values("a=range(0,1,0.25)"), ElementsAre("0.0", "0.25", "0.5", "0.75"));
  EXPECT_THAT(values("a=range(3,0,-1)"), ElementsAre("3", "2", "1"));
  EXPECT_THAT(values("a=range(0.1,0.4,0.1)"),
              ElementsAre("0.1", "0.2", "0.30000000000000004", "0.4"));
  EXPECT_THAT(values("a=sort(range(0,5,2),reverse=true)"), ElementsAre("4", "2", "0"));
  EXPECT_THAT(values("a=sort(3,1.5,true)"), ElementsAre("True", "1.5", "3"));
  EXPECT_EQ(values("a=shuffle(range(10))").size(), 10U);
  EXPECT_THROW(values("a=range(0,1,0)"), ConfigError);
  EXPECT_THROW(values("a=range(0,1000000000)"), ConfigError);
}

TEST(Decimal, AddsAsPythonsDecimal) {
  EXPECT_EQ((Decimal(0.1) + Decimal(0.2)).to_double(), 0.30000000000000004);
  EXPECT_EQ((Decimal(-1.5) + Decimal(1.5)).to_double(), 0.0);
  EXPECT_EQ((Decimal(1e300) + Decimal(1e-300)).to_double(), 1e300);
  EXPECT_TRUE(Decimal(-2.0) < Decimal(-1.0));
  EXPECT_FALSE(Decimal(0.0) < Decimal(-0.0));
}

}  // namespace
}  // namespace triptych::config
