// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/winograd.h"

#include "tests/support/tensor_matchers.h"

#include <cmath>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {

struct Case {
  std::int64_t batch, in, out, height, width;
};

class Winograd : public ::testing::TestWithParam<Case> {};

TEST_P(Winograd, EqualsTheDirectConvolution) {
  const Case& c = GetParam();
  const at::Tensor weight =
      at::randn({c.out, c.in, 3, 3}) / std::sqrt(9.0 * static_cast<double>(c.in));
  if (!WinogradConvolution::serves(weight)) GTEST_SKIP() << "no AVX-512";
  const at::Tensor x = at::randn({c.batch, c.in, c.height, c.width}), bias = at::randn({c.out});
  const WinogradConvolution convolution(weight);
  const at::Tensor exact =
      at::conv2d(x.to(at::kDouble), weight.to(at::kDouble), bias.to(at::kDouble), 1, 1);
  const at::Tensor plain = convolution.forward(x, bias, Activation::kIdentity);
  EXPECT_TRUE(plain.is_contiguous(at::MemoryFormat::ChannelsLast));
  EXPECT_TRUE(testing::near(plain, exact, 2e-5));
  EXPECT_TRUE(testing::near(convolution.forward(x, bias, Activation::kMish),
                            exact * at::tanh(at::log1p(at::exp(exact))),
                            2e-5));
  EXPECT_TRUE(
      testing::near(convolution.forward(x, bias, Activation::kRelu), at::relu(exact), 2e-5));
  EXPECT_TRUE(testing::near(convolution.forward(x, {}, Activation::kLeakyRelu),
                            at::leaky_relu(exact - bias.view({1, -1, 1, 1}), 0.01),
                            2e-5));
}

TEST_P(Winograd, GivesTheSameBitsForEveryNumberOfThreads) {
  const Case& c = GetParam();
  const at::Tensor weight = at::randn({c.out, c.in, 3, 3});
  if (!WinogradConvolution::serves(weight)) GTEST_SKIP() << "no AVX-512";
  const at::Tensor x = at::randn({c.batch, c.in, c.height, c.width});
  const WinogradConvolution convolution(weight);
  const at::Tensor one = convolution.forward(x, {}, Activation::kMish);
  for (const int threads : {2, 3}) {
    at::set_num_threads(threads);
    EXPECT_TRUE(at::equal(convolution.forward(x, {}, Activation::kMish), one)) << threads;
  }
  at::set_num_threads(1);
}

INSTANTIATE_TEST_SUITE_P(Sizes,
                         Winograd,
                         ::testing::Values(Case{1, 32, 32, 64, 64},
                                           Case{2, 16, 64, 9, 7},
                                           Case{3, 48, 96, 1, 5},
                                           Case{1, 64, 32, 2, 1},
                                           Case{1, 128, 64, 6, 40},
                                           Case{1, 256, 128, 16, 16}));

TEST(WinogradConvolution, ServesOnlyChannelsThatFillItsRegisters) {
  EXPECT_FALSE(WinogradConvolution::serves(at::zeros({32, 1, 3, 3})));
  EXPECT_FALSE(WinogradConvolution::serves(at::zeros({16, 32, 3, 3})));
  EXPECT_FALSE(WinogradConvolution::serves(at::zeros({32, 32, 5, 5})));
  EXPECT_FALSE(WinogradConvolution::serves(at::zeros({32, 32, 3, 3, 3})));
}

TEST(WinogradConvolution, NanStaysWhereItReaches) {
  const at::Tensor weight = at::ones({32, 16, 3, 3});
  if (!WinogradConvolution::serves(weight)) GTEST_SKIP() << "no AVX-512";
  at::Tensor x = at::ones({1, 16, 12, 12});
  x[0][3][5][5] = NAN;
  const at::Tensor y = WinogradConvolution(weight).forward(x, {}, Activation::kMish);
  EXPECT_TRUE(y[0][0].slice(0, 4, 7).slice(1, 4, 7).isnan().all().item<bool>());
  EXPECT_TRUE(y[0][0].slice(0, 8).isfinite().all().item<bool>());
}

}  // namespace
}  // namespace triptych
