// SPDX-License-Identifier: Apache-2.0
#include "framework/core/file.h"

#include "tests/app/program.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {
namespace fs = std::filesystem;
using testing::failure;
using testing::fresh_folder;
using ::testing::HasSubstr;
using testing::run_program;

TEST(New, WritesEveryKindBesideTheHeadsOfAFolderOutsideTheTree) {
  const fs::path folder = fresh_folder("new");
  for (const char* name : {"heads", "experiments", "heads/inside"})
    fs::create_directory(folder / name);
  for (const char* kind : {"backbone", "dataset", "head", "loss", "sharing", "task", "weighting"}) {
    const auto finished = run_program({"new", kind, "mine"}, folder / "heads/inside");
    EXPECT_EQ(finished.code, 0) << finished.err;
    const std::string source = std::string(kind) == "loss" ? "losses" : std::string(kind) + "s";
    EXPECT_THAT(read_file(folder / source / "mine.cc"), HasSubstr("(\"mine\", Mine"));
  }
  EXPECT_EQ(read_file(folder / "experiments/sharing/mine.yaml"), "name: mine\n");
  EXPECT_THAT(failure(folder, {"new", "head", "mine"}, 1), HasSubstr("is there already"));
  EXPECT_THAT(failure(folder, {"new", "shering", "other"}, 2),
              HasSubstr("did you mean 'sharing'?"));
}

}  // namespace
}  // namespace triptych
