// SPDX-License-Identifier: Apache-2.0
#include "framework/infer/blocks.h"

#include "framework/infer/padding.h"
#include "framework/infer/vote_accumulator.h"

#include "tests/infer/analytic_volume.h"
#include "tests/support/tensor_matchers.h"

#include <gtest/gtest.h>

namespace triptych {
namespace {

using testing::smooth_volume;
using testing::stored;

TEST(Blocks, WeightsSumToOneEverywhere) {
  for (const std::int64_t size : {1, 5, 8, 9, 13, 31, 64, 100}) {
    for (const double overlap : {0.0, 0.25, 0.4, 0.5}) {
      for (const std::int64_t block : {1, 7, 8, 16}) {
        const AxisBlocks blocks = make_axis_blocks(size, block, overlap);
        std::vector<double> sum(static_cast<std::size_t>(size), 0.0);
        for (std::size_t i = 0; i < blocks.starts.size(); ++i) {
          const auto weights = blocks.weights(i);
          for (std::size_t w = 0; w < weights.size(); ++w)
            sum.at(static_cast<std::size_t>(blocks.starts[i]) + w) += weights[w];
        }
        for (const double s : sum)
          ASSERT_NEAR(s, 1.0, 1e-6) << size << ", " << block << ", " << overlap;
      }
    }
  }
}

at::Tensor voxelwise(const at::Tensor& block) {
  const at::Tensor p = block.narrow(1, 0, 1).clamp(0.0, 1.0);
  return at::cat({1.0 - p, p}, 1);
}

TEST(Blocks, AVoxelwiseClassifierComesBackWhateverTheBlocks) {
  const at::Tensor volume = smooth_volume({19, 26, 33});
  for (const std::array<std::int64_t, 3>& block :
       {std::array<std::int64_t, 3>{8, 8, 8}, {64, 64, 64}, {16, 7, 20}}) {
    for (const std::int64_t bytes : {std::int64_t{1} << 30, std::int64_t{0}}) {
      MemoryBudget budget(bytes);
      const auto input = stored(volume, budget);
      VoteAccumulator fusion(
          {.shape = input->shape(), .classes = 2, .max_predictions = 1, .votes = true},
          budget,
          std::filesystem::temp_directory_path());
      run_blocks(*input, block, 0.5, voxelwise, fusion);
      const FusedVolume fused = fusion.finish("majority", {.probabilities = true, .votes = true});
      EXPECT_TRUE(testing::near(
          fused.probabilities->tensor().narrow(0, 1, 1).to(at::kFloat), volume, 6e-4));
      EXPECT_EQ(fused.votes->tensor().sum(0).min().item<std::int64_t>(), 1);
    }
  }
}

TEST(Blocks, OverlapsBlendWithoutASeam) {
  // Each block answers with a constant that alternates: the blend must move by no more than the
  // tent's slope.
  MemoryBudget budget(1 << 20);
  const auto input = stored(at::zeros({1, 1, 1, 28}), budget);
  VoteAccumulator fusion(
      {.shape = input->shape(), .classes = 1}, budget, std::filesystem::temp_directory_path());
  int calls = 0;
  run_blocks(
      *input,
      {1, 1, 16},
      0.25,
      [&](const at::Tensor& x) { return at::full_like(x, calls++ % 2); },
      fusion);
  const at::Tensor p = fusion.finish("soft", {.probabilities = true})
                           .probabilities->tensor()
                           .to(at::kFloat)
                           .flatten();
  EXPECT_EQ(calls, 2);
  EXPECT_LE((p.slice(0, 1) - p.slice(0, 0, 27)).abs().max().item<float>(), 0.251F);
  EXPECT_TRUE(testing::near(p.slice(0, 0, 12), at::zeros({12}), 1e-4));
  EXPECT_TRUE(testing::near(p.slice(0, 16), at::ones({12}), 1e-3));
}

TEST(Padding, RepeatsTheEdgeAndCropsBack) {
  const at::Tensor x = at::rand({2, 3, 1, 5, 9});
  const at::Tensor padded = pad_to_multiple(x, {1, 16, 4});
  ASSERT_EQ(padded.sizes(), at::IntArrayRef({2, 3, 1, 16, 12}));
  EXPECT_TRUE(at::equal(crop_to(padded, {1, 5, 9}), x));
  EXPECT_TRUE(at::equal(padded.select(3, 15), padded.select(3, 4)));
  EXPECT_TRUE(at::equal(padded.select(4, 11), padded.select(4, 8)));
  EXPECT_TRUE(pad_to_multiple(x, {1, 5, 3}).is_same(x));
}

}  // namespace
}  // namespace triptych
