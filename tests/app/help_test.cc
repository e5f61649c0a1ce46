// SPDX-License-Identifier: Apache-2.0
#include "tests/app/program.h"

#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {
using testing::fresh_folder;
using ::testing::HasSubstr;
using testing::run_program;

const std::vector<std::string> kVerbs = {"train",
                                         "predict",
                                         "reconstruct",
                                         "register",
                                         "warp",
                                         "evaluate",
                                         "generate",
                                         "render",
                                         "describe",
                                         "new",
                                         "summary",
                                         "compose",
                                         "completion"};

/// The example lines of a verb's help.
std::vector<std::string> examples(const std::string& verb, const std::filesystem::path& folder) {
  std::istringstream help(run_program({verb, "--help"}, folder).out);
  std::vector<std::string> lines;
  bool inside = false;
  for (std::string line; std::getline(help, line);) {
    if (inside && line.starts_with("  ")) lines.push_back(line.substr(2));
    inside = inside || line == "Examples:";
  }
  return lines;
}

/// The words after the verb as a shell hands them over; the examples quote with ' alone.
std::vector<std::string> words_of(const std::string& line) {
  std::vector<std::string> words(1);
  bool quoted = false;
  for (const char c : line) {
    if (c == '\'') {
      quoted = !quoted;
    } else if (c == ' ' && !quoted) {
      words.emplace_back();
    } else {
      words.back() += c;
    }
  }
  words.erase(words.begin(), words.begin() + 2);
  return words;
}

TEST(Completion, OffersTheKeysOfReconstruct) {
  const auto folder = fresh_folder("completion");
  const auto offered = [&](const std::string& typed) {
    return run_program({"completion", "query", "reconstruct", typed}, folder).out;
  };
  EXPECT_EQ(offered("inp"), "input.\n");
  EXPECT_EQ(offered("input."), "input.projections=\ninput.flats=\ninput.darks=\ninput.metal=\n");
  EXPECT_EQ(offered("phase.e"), "phase.energy_kev=\n");
  EXPECT_EQ(offered("stripe_"), "stripe_window=\n");
  EXPECT_EQ(offered("stripes="), "stripes=none\nstripes=sorting\n");
  EXPECT_EQ(offered("output="), "");
  EXPECT_THAT(offered(""), HasSubstr("input.\noutput=\nmethod=\n"));
  EXPECT_THAT(offered(""), ::testing::Not(HasSubstr("phase.energy_kev")));
}

TEST(Help, HasExamplesForEveryVerb) {
  const auto folder = fresh_folder("help");
  const std::string all = run_program({"--help"}, folder).out;
  for (const std::string& verb : kVerbs) {
    EXPECT_THAT(all, HasSubstr("  " + verb + " ")) << verb;
    EXPECT_FALSE(examples(verb, folder).empty()) << verb;
  }
}

TEST(Help, ShowsExamplesThatCompose) {
  const auto folder = fresh_folder("help_compose");
  for (const char* verb : {"train", "summary", "compose", "generate"}) {
    for (const std::string& example : examples(verb, folder)) {
      if (example.find("resume=") != std::string::npos) continue;
      std::vector<std::string> words = {"compose"};
      if (std::string(verb) == "generate") words.insert(words.end(), {"--config-name", "generate"});
      const std::vector<std::string> given = words_of(example);
      words.insert(words.end(), given.begin(), given.end());
      const auto finished = run_program(words, folder);
      EXPECT_EQ(finished.code, 0) << example << "\n" << finished.err;
    }
  }
}

}  // namespace
}  // namespace triptych
