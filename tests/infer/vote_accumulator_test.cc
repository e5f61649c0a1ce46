// SPDX-License-Identifier: Apache-2.0
#include "framework/infer/vote_accumulator.h"

#include "tests/support/tensor_matchers.h"

#include <cmath>

#include <gtest/gtest.h>

namespace triptych {
namespace {

const std::filesystem::path kScratch = std::filesystem::temp_directory_path();

/// An accumulator of one voxel per row of `votes` [V][K] and of summed probabilities [V][K].
struct Case {
  std::vector<std::uint8_t> votes;
  std::vector<double> sums;
};

at::Tensor labels_of(const std::vector<Case>& cases, const char* rule) {
  MemoryBudget budget(1 << 20);
  const auto voxels = static_cast<std::int64_t>(cases.size());
  const auto classes = static_cast<std::int64_t>(cases[0].votes.size());
  VoteAccumulator accumulator(
      {.shape = {1, 1, voxels}, .classes = classes, .max_predictions = 9, .votes = true},
      budget,
      kScratch);
  for (std::int64_t v = 0; v < voxels; ++v) {
    for (std::int64_t k = 0; k < classes; ++k) {
      const auto& c = cases[static_cast<std::size_t>(v)];
      accumulator.votes()[k * voxels + v] = c.votes[static_cast<std::size_t>(k)];
      accumulator.sums()[k * voxels + v] = static_cast<std::uint16_t>(
          std::lround(c.sums[static_cast<std::size_t>(k)] * accumulator.scale()));
    }
  }
  return accumulator.labels(rule)->tensor().flatten().clone();
}

TEST(VoteAccumulator, BreaksTiesByMeanProbabilityThenByTheLowerClass) {
  const std::vector<Case> cases = {
      {{1, 1, 1}, {0.9, 1.2, 0.9}},  // votes tie: the highest sum wins
      {{1, 1, 1}, {1.0, 1.0, 1.0}},  // all tie: the lowest class
      {{0, 1, 2}, {0.2, 1.6, 1.2}},  // majority and soft differ
      {{0, 2, 2}, {0.0, 1.5, 1.5}},  // votes and sums tie between 1 and 2
      {{0, 0, 0}, {0.0, 0.0, 0.0}},  // nothing saw it
  };
  EXPECT_TRUE(at::equal(labels_of(cases, "majority"), at::tensor({1, 0, 2, 1, 0}).to(at::kByte)));
  EXPECT_TRUE(at::equal(labels_of(cases, "soft"), at::tensor({1, 0, 1, 1, 0}).to(at::kByte)));
}

TEST(VoteAccumulator, RefusesWhatWasNotKept) {
  MemoryBudget budget(1 << 20);
  VoteAccumulator accumulator({.shape = {1, 1, 4}}, budget, kScratch);
  testing::error_message("usage", [&] { accumulator.labels("majority"); });
  testing::error_message("schema", [&] { accumulator.labels("mean"); });
  testing::error_message("model", [&] {
    VoteAccumulator({.shape = {1, 1, 1}, .classes = 257}, budget, kScratch);
  });
}

TEST(VoteAccumulator, MemoryPerVoxelIsTwoBytesAClassAndOne) {
  MemoryBudget budget(1000);
  const VoteAccumulator accumulator({.shape = {1, 10, 10}, .classes = 4}, budget, kScratch);
  EXPECT_EQ(budget.left(), 1000 - 100 * 9);
}

TEST(Entropy, IsZeroForCertaintyAndOneForTheUniformDistribution) {
  const at::Tensor p = at::tensor({1.0, 0.0, 0.0, 0.0, 0.25, 0.25, 0.25, 0.25, 0.5, 0.5, 0.0, 0.0})
                           .view({3, 4, 1, 1})
                           .transpose(0, 1);
  const at::Tensor entropy = normalised_entropy(p.to(at::kHalf));
  EXPECT_TRUE(testing::near(entropy.flatten(), at::tensor({0.0, 1.0, 0.5}), 1e-3));
  const at::Tensor random = normalised_entropy(at::rand({5, 6, 7, 8}).softmax(0));
  EXPECT_GE(random.min().item<float>(), 0.0F);
  EXPECT_LE(random.max().item<float>(), 1.0F);
  EXPECT_EQ(random.sizes(), at::IntArrayRef({1, 6, 7, 8}));
}

TEST(Disagreement, IsTheShareOfSetsAgainstTheWinner) {
  const at::Tensor votes =
      at::tensor({3, 0, 2, 1, 5, 4, 0, 0}).to(at::kByte).view({4, 2, 1, 1}).transpose(0, 1);
  EXPECT_TRUE(testing::near(
      plane_disagreement(votes).flatten(), at::tensor({0.0, 1.0 / 3.0, 4.0 / 9.0, 0.0}), 1e-6));
}

}  // namespace
}  // namespace triptych
