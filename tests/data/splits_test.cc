// SPDX-License-Identifier: Apache-2.0
#include "framework/data/splits.h"

#include "framework/config/yaml_reader.h"

#include "tests/support/tensor_matchers.h"

#include <numeric>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {

using testing::error_message;

std::vector<std::string> ten_ids() {
  std::vector<std::string> ids;
  for (int i = 0; i < 10; ++i) ids.push_back(fmt::format("s{}", i));
  return ids;
}

SplitConfig config_of(const std::string& yaml) {
  return config::read<SplitConfig>(config::parse_yaml(yaml, "test"));
}
Splits split(const std::string& yaml) { return split_samples(ten_ids(), {}, config_of(yaml)); }

/// Every sample at most once, over all splits.
void expect_disjoint(const Splits& splits) {
  std::set<std::size_t> seen;
  for (const auto& [name, members] : splits) {
    for (const std::size_t member : members) EXPECT_TRUE(seen.insert(member).second) << name;
  }
}

TEST(Splits, TrainOnEverythingWhenNothingIsSaid) {
  const Splits splits = split("{}");
  EXPECT_EQ(splits.at("train").size(), 10U);
  EXPECT_TRUE(splits.at("validation").empty());
}

TEST(Splits, TakeListedSamplesAndTrainOnTheRest) {
  const Splits splits = split("{validation: [s3], test: [s1, s0]}");
  EXPECT_EQ(splits.at("validation"), (std::vector<std::size_t>{3}));
  EXPECT_EQ(splits.at("test"), (std::vector<std::size_t>{0, 1}));
  EXPECT_EQ(splits.at("train").size(), 7U);
  expect_disjoint(splits);
}

TEST(Splits, DrawFractionsByTheSeed) {
  const Splits splits = split("{validation_fraction: 0.3, test_fraction: 0.2, seed: 4}");
  EXPECT_EQ(splits.at("validation").size(), 3U);
  EXPECT_EQ(splits.at("test").size(), 2U);
  EXPECT_EQ(splits.at("train").size(), 5U);
  expect_disjoint(splits);
  EXPECT_EQ(splits, split("{validation_fraction: 0.3, test_fraction: 0.2, seed: 4}"));
  EXPECT_NE(splits, split("{validation_fraction: 0.3, test_fraction: 0.2, seed: 5}"));
  EXPECT_EQ(split("{validation_fraction: 0.01}").at("validation").size(), 1U);
}

TEST(Splits, FoldsValidateEverySampleOnce) {
  std::multiset<std::size_t> validated;
  for (int fold = 0; fold < 4; ++fold) {
    const Splits splits = split(fmt::format("{{folds: 4, fold: {}, test: [s9]}}", fold));
    expect_disjoint(splits);
    EXPECT_EQ(splits.at("test"), (std::vector<std::size_t>{9}));
    EXPECT_EQ(splits.at("train").size() + splits.at("validation").size(), 9U);
    validated.insert(splits.at("validation").begin(), splits.at("validation").end());
  }
  std::vector<std::size_t> once(9);
  std::iota(once.begin(), once.end(), 0);
  EXPECT_EQ(std::vector<std::size_t>(validated.begin(), validated.end()), once);
}

TEST(Splits, FollowTheManifest) {
  std::vector<std::string> stated(10, "train");
  stated[4] = "test";
  stated[5] = "";
  const Splits splits = split_samples(ten_ids(), stated, {});
  EXPECT_EQ(splits.at("test"), (std::vector<std::size_t>{4}));
  EXPECT_EQ(splits.at("train").size(), 8U);
  EXPECT_THAT(
      error_message("schema", [&] { split_samples(ten_ids(), stated, config_of("{folds: 3}")); }),
      ::testing::HasSubstr("the manifest states splits"));
  stated[4] = "tset";
  EXPECT_THAT(error_message("schema", [&] { split_samples(ten_ids(), stated, {}); }),
              ::testing::HasSubstr("got 'tset'"));
}

TEST(Splits, RefuseLeaksAndMistakes) {
  EXPECT_THAT(error_message("schema", [] { split("{train: [s1], test: [s1]}"); }),
              ::testing::HasSubstr("sample 's1' is in 'test' already"));
  EXPECT_THAT(error_message("schema", [] { split("{test: [s1, s1]}"); }),
              ::testing::HasSubstr("already"));
  EXPECT_THAT(error_message("schema", [] { split("{test: [s11]}"); }),
              ::testing::HasSubstr("no sample 's11'; did you mean"));
  EXPECT_THAT(error_message("schema", [] { split("{folds: 11}"); }),
              ::testing::HasSubstr("at most as many folds as samples"));
  EXPECT_THAT(error_message("schema", [] { split("{folds: 3, fold: 3}"); }),
              ::testing::HasSubstr("fold"));
  EXPECT_THAT(error_message("schema", [] { split("{folds: 3, validation: [s1]}"); }),
              ::testing::HasSubstr("contradicts"));
  EXPECT_THAT(error_message("schema", [] { split("{train: [s1], validation_fraction: 0.1}"); }),
              ::testing::HasSubstr("contradicts"));
}

}  // namespace
}  // namespace triptych
