// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/mish_kernel.h"

#include "framework/core/nn.h"
#include "framework/ops/mish.h"

#include "tests/support/tensor_matchers.h"

#include <cmath>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {

at::Tensor exact_mish(const at::Tensor& x) {
  const at::Tensor d = x.to(at::kDouble);
  return d * at::tanh(at::log1p(at::exp(d)));
}

TEST(MishKernel, IsWithinAMillionthOfTheFormula) {
  const at::Tensor x = at::linspace(-80.0, 80.0, 400001, at::kFloat);
  at::Tensor y = x.clone().view({1, -1, 1, 1}).contiguous(at::MemoryFormat::ChannelsLast);
  add_bias_activate_(y, {}, Activation::kMish);
  const at::Tensor exact = exact_mish(x), error = (y.flatten().to(at::kDouble) - exact).abs();
  EXPECT_LE((error / exact.abs().clamp_min(1e-30)).max().item<double>(), 1e-6);
}

TEST(MishKernel, LimitsAndNanAreKept) {
  EXPECT_EQ(mish_value(INFINITY), INFINITY);
  EXPECT_EQ(mish_value(-INFINITY), 0.0F);
  EXPECT_EQ(mish_value(-1e30F), 0.0F);
  EXPECT_EQ(mish_value(1e30F), 1e30F);
  EXPECT_EQ(mish_value(0.0F), 0.0F);
  EXPECT_TRUE(std::isnan(mish_value(NAN)));
  EXPECT_NEAR(mish_value(-95.0F), 0.0F, 1e-30);
}

struct Layout {
  const char* name;
  std::vector<std::int64_t> sizes;
  at::MemoryFormat format;
  at::ScalarType type;
};

class AddBiasActivate : public ::testing::TestWithParam<Layout> {};

TEST_P(AddBiasActivate, EqualsLibTorchInEveryLayout) {
  const Layout& layout = GetParam();
  for (const int threads : {1, 2}) {
    at::set_num_threads(threads);
    for (const Activation activation :
         {Activation::kIdentity, Activation::kMish, Activation::kRelu, Activation::kLeakyRelu}) {
      at::Tensor x = (3.0 * at::randn(layout.sizes)).to(layout.type).contiguous(layout.format);
      const at::Tensor bias = at::randn({layout.sizes[1]});
      std::vector<std::int64_t> shape(layout.sizes.size(), 1);
      shape[1] = -1;
      const at::Tensor sum = x.to(at::kFloat) + bias.view(shape);
      at::Tensor expected = sum;
      if (activation == Activation::kMish) expected = exact_mish(sum);
      if (activation == Activation::kRelu) expected = at::relu(sum);
      if (activation == Activation::kLeakyRelu) expected = at::leaky_relu(sum, 0.01);
      add_bias_activate_(x, bias, activation);
      EXPECT_EQ(x.scalar_type(), layout.type);
      EXPECT_TRUE(testing::near(x,
                                expected,
                                layout.type == at::kFloat ? 1e-6 : 0.05,
                                layout.type == at::kFloat ? 1e-6 : 0.02));
    }
  }
  at::set_num_threads(1);
}

INSTANTIATE_TEST_SUITE_P(
    MishKernel,
    AddBiasActivate,
    ::testing::Values(
        Layout{"channels_last", {2, 37, 9, 11}, at::MemoryFormat::ChannelsLast, at::kFloat},
        Layout{"many_rows", {1, 16, 128, 96}, at::MemoryFormat::ChannelsLast, at::kFloat},
        Layout{"planar", {2, 37, 9, 11}, at::MemoryFormat::Contiguous, at::kFloat},
        Layout{"volume", {1, 5, 3, 4, 6}, at::MemoryFormat::ChannelsLast3d, at::kFloat},
        Layout{"bfloat16", {1, 8, 5, 7}, at::MemoryFormat::ChannelsLast, at::kBFloat16},
        Layout{"empty", {1, 8, 0, 7}, at::MemoryFormat::ChannelsLast, at::kFloat}),
    [](const auto& layout) { return std::string(layout.param.name); });

/// Gradient of sum(w triptych::mish(x)) for the formula in double.
at::Tensor exact_gradient(const at::Tensor& x, const at::Tensor& w) {
  const at::Tensor d = x.detach().to(at::kDouble).requires_grad_();
  return torch::autograd::grad({(exact_mish(d) * w.to(at::kDouble)).sum()}, {d})[0];
}

TEST(Mish, GradientIsThatOfTheFormula) {
  const at::Tensor x = at::linspace(-80.0, 40.0, 240001, at::kFloat).requires_grad_();
  const at::Tensor y = triptych::mish(x);
  EXPECT_TRUE(testing::near(y, exact_mish(x.detach()), 1e-6, 1e-6));
  const at::Tensor gradient = torch::autograd::grad({y.sum()}, {x})[0];
  EXPECT_TRUE(testing::near(gradient, exact_gradient(x, at::ones({1})), 2e-6, 0.0));
}

TEST(Mish, GradientKeepsItsPlaceInEveryLayout) {
  for (const at::MemoryFormat format :
       {at::MemoryFormat::Contiguous, at::MemoryFormat::ChannelsLast}) {
    const at::Tensor x = at::randn({2, 5, 7, 3}).contiguous(format).requires_grad_();
    const at::Tensor w = at::randn({2, 5, 7, 3});
    const at::Tensor gradient = torch::autograd::grad({(triptych::mish(x) * w).sum()}, {x})[0];
    EXPECT_TRUE(testing::near(gradient, exact_gradient(x, w), 3e-6, 2e-6));
  }
  const at::Tensor part = at::randn({4, 6}).slice(1, 0, 6, 2);  // not dense
  EXPECT_TRUE(testing::near(triptych::mish(part), exact_mish(part), 1e-6, 1e-6));
}

TEST(Mish, CanBeDifferentiatedTwice) {
  const at::Tensor x = at::linspace(-4.0, 4.0, 81, at::kFloat).requires_grad_();
  const at::Tensor first = torch::autograd::grad({triptych::mish(x).sum()}, {x}, {}, true, true)[0];
  const at::Tensor second = torch::autograd::grad({first.sum()}, {x})[0];
  const at::Tensor d = x.detach().to(at::kDouble).requires_grad_();
  const at::Tensor slope = torch::autograd::grad({exact_mish(d).sum()}, {d}, {}, true, true)[0];
  const at::Tensor expected = torch::autograd::grad({slope.sum()}, {d})[0];
  EXPECT_TRUE(testing::near(second, expected, 1e-5, 1e-5));
}

}  // namespace
}  // namespace triptych
