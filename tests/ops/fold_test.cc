// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/fold.h"

#include "framework/ops/channels_last_kernel.h"

#include "tests/support/tensor_matchers.h"

#include <cmath>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {

TEST(Fold, AConvolutionTakesItsBatchNormalisationIn) {
  const at::Tensor x = at::randn({2, 3, 8, 9}), weight = at::randn({5, 3, 3, 3}),
                   bias = at::randn({5});
  const BatchNormStatistics norm{
      at::randn({5}), at::rand({5}) + 0.2, at::randn({5}), at::randn({5}), 1e-5};
  for (const at::Tensor& b : {bias, at::Tensor()}) {
    const at::Tensor plain = at::batch_norm(at::conv2d(x, weight, b, 1, 1),
                                            norm.scale,
                                            norm.shift,
                                            norm.mean,
                                            norm.variance,
                                            false,
                                            0.1,
                                            norm.epsilon,
                                            false);
    const ConvolutionWeights folded = fold_batch_norm(weight, b, norm);
    EXPECT_TRUE(testing::near(at::conv2d(x, folded.weight, folded.bias, 1, 1), plain, 1e-4, 1e-5));
  }
}

TEST(Fold, ATransposedConvolutionIsAPointwiseOneAndAShuffle) {
  const at::Tensor bias = at::randn({5});
  const at::Tensor image = at::randn({2, 3, 4, 6}), weight = at::randn({3, 5, 2, 2});
  const ConvolutionWeights two = pointwise_from_transposed(weight, bias);
  EXPECT_TRUE(testing::near(spread_blocks(at::conv2d(image, two.weight, two.bias), 5),
                            at::conv_transpose2d(image, weight, bias, 2),
                            1e-5));
  const at::Tensor volume = at::randn({2, 3, 4, 2, 3}), weight3 = at::randn({3, 5, 2, 2, 2});
  const ConvolutionWeights three = pointwise_from_transposed(weight3, bias);
  EXPECT_TRUE(testing::near(spread_blocks(at::conv3d(volume, three.weight, three.bias), 5),
                            at::conv_transpose3d(volume, weight3, bias, 2),
                            1e-5));
}

TEST(ChannelsLastKernel, JoinsSkipAndSpreadBlocks) {
  for (const auto format : {at::MemoryFormat::ChannelsLast, at::MemoryFormat::Contiguous}) {
    const at::Tensor skip = at::randn({2, 7, 8, 10}).contiguous(format),
                     up = at::randn({2, 20, 4, 5}).contiguous(format);
    const at::Tensor bias = at::randn({5});
    const at::Tensor expected = at::cat({skip, spread_blocks(up, 5) + bias.view({1, 5, 1, 1})}, 1);
    EXPECT_TRUE(testing::near(join_skip(skip, up, bias), expected, 1e-6));
  }
}

TEST(ChannelsLastKernel, PoolsAsLibTorchDoesNanIncluded) {
  at::Tensor x = at::randn({2, 19, 6, 8}).contiguous(at::MemoryFormat::ChannelsLast);
  EXPECT_TRUE(at::equal(max_pool_2x2(x), at::max_pool2d(x, 2)));
  for (const int place : {0, 1, 8, 9})
    x[0][3].view_as(x[0][3]).select(0, place / 8).select(0, place % 8).fill_(NAN);
  for (const int place : {2, 11, 21, 28})
    x[1][4].select(0, place / 8).select(0, place % 8).fill_(NAN);
  EXPECT_TRUE(at::equal(max_pool_2x2(x).isnan(), at::max_pool2d(x, 2).isnan()));
}

}  // namespace
}  // namespace triptych
