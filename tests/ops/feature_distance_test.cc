// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/feature_distance.h"

#include "framework/core/parallel.h"
#include "framework/ops/warp.h"

#include "tests/support/tensor_matchers.h"

#include <limits>

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

namespace triptych {
namespace {

using testing::error_message;
using ::testing::HasSubstr;
using testing::near;

FeaturePair random_pair(std::int64_t channels, const Index3& shape) {
  const std::vector<std::int64_t> sizes{1, channels, shape[0], shape[1], shape[2]};
  FeaturePair pair{at::randn(sizes), at::randn(sizes), {}, {}};
  return pair;
}

FeaturePair in_double(const FeaturePair& pair) {
  const auto wide = [](const at::Tensor& x) { return x.defined() ? x.to(at::kDouble) : x; };
  return {wide(pair.fixed), wide(pair.moving), wide(pair.fixed_weight), wide(pair.moving_weight)};
}

struct ValueAndGradient {
  at::Tensor value, gradient;
};

ValueAndGradient evaluated(const FeaturePair& pair, const at::Tensor& u) {
  const at::Tensor variable = u.clone().set_requires_grad(true);
  const at::Tensor value = feature_distance(pair, variable);
  return {value.detach(), torch::autograd::grad({value}, {variable})[0]};
}

void expect_kernel_equals_operators(const FeaturePair& pair, const at::Tensor& u) {
  const ValueAndGradient kernel = evaluated(pair, u);
  const ValueAndGradient operators = evaluated(in_double(pair), u.to(at::kDouble));
  EXPECT_TRUE(near(kernel.value, operators.value, 0.0, 1e-5));
  const double largest = operators.gradient.abs().max().item<double>();
  EXPECT_GT(largest, 0.0);
  EXPECT_TRUE(near(kernel.gradient / largest, operators.gradient / largest, 1e-4));
}

TEST(FeatureDistance, KernelEqualsOperatorsInValueAndGradient) {
  for (const std::int64_t channels : {1, 12, 16, 21}) {
    const FeaturePair pair = random_pair(channels, {5, 6, 19});
    expect_kernel_equals_operators(pair, 2.0 * at::randn({1, 3, 5, 6, 19}));
  }
}

TEST(FeatureDistance, WeightsOfBothImagesCount) {
  FeaturePair pair = random_pair(12, {5, 6, 19});
  pair.fixed_weight = (at::rand({1, 1, 5, 6, 19}) > 0.4).to(at::kFloat);
  pair.moving_weight = (at::rand({1, 1, 5, 6, 19}) > 0.4).to(at::kFloat);
  expect_kernel_equals_operators(pair, 2.0 * at::randn({1, 3, 5, 6, 19}));
  pair.fixed_weight.zero_();
  const ValueAndGradient nothing = evaluated(pair, at::randn({1, 3, 5, 6, 19}));
  EXPECT_EQ(nothing.value.item<float>(), 0.0F);
  EXPECT_EQ(nothing.gradient.abs().max().item<float>(), 0.0F);
}

TEST(FeatureDistance, HoldsForSlicesAndRowsOfOneVoxel) {
  for (const Index3& shape : {Index3{1, 7, 9}, Index3{3, 1, 9}, Index3{4, 5, 1}}) {
    const FeaturePair pair = random_pair(12, shape);
    expect_kernel_equals_operators(pair, at::randn({1, 3, shape[0], shape[1], shape[2]}));
  }
}

TEST(FeatureDistance, IsTheMeanSquaredDifferenceWithoutDisplacement) {
  const FeaturePair pair = random_pair(12, {4, 5, 20});
  const at::Tensor value = feature_distance(pair, at::zeros({1, 3, 4, 5, 20}));
  EXPECT_TRUE(near(value, (pair.fixed - pair.moving).square().mean(), 0.0, 1e-5));
}

TEST(FeatureDistance, ReadsNothingOutsideForDisplacementsThatAreNoNumbers) {
  const FeaturePair pair = random_pair(12, {4, 5, 20});
  at::Tensor u = at::full({1, 3, 4, 5, 20}, 1e30F);
  u.select(1, 1).fill_(-1e30F);
  u.select(1, 2).fill_(std::numeric_limits<float>::quiet_NaN());
  EXPECT_TRUE(at::isfinite(evaluated(pair, u).value).item<bool>());
}

TEST(FeatureDistance, HasTheSameBitsForEveryNumberOfThreads) {
  FeaturePair pair = random_pair(12, {9, 10, 33});
  const at::Tensor u = 2.0 * at::randn({1, 3, 9, 10, 33});
  const ValueAndGradient one = evaluated(pair, u);
  set_num_threads(5);
  const ValueAndGradient five = evaluated(pair, u);
  EXPECT_TRUE(at::equal(one.value, five.value));
  EXPECT_TRUE(at::equal(one.gradient, five.gradient));
}

TEST(FeatureDistance, PassesGradientsToFeatures) {
  FeaturePair pair = random_pair(3, {4, 5, 6});
  pair.moving.set_requires_grad(true);
  feature_distance(pair, at::zeros({1, 3, 4, 5, 6})).backward();
  const at::Tensor expected = 2.0 / (3 * 4 * 5 * 6) * (pair.moving - pair.fixed).detach();
  EXPECT_TRUE(near(pair.moving.grad(), expected, 1e-6));
}

TEST(FeatureDistance, RefusesTensorsOfDifferentGrids) {
  const FeaturePair pair = random_pair(3, {4, 5, 6});
  EXPECT_THAT(error_message("shape",
                            [&] {
                              feature_distance(pair, at::zeros({1, 3, 4, 5, 7}));
                            }),
              HasSubstr("displacement: expected shape [1, 3, 4, 5, 6]"));
}

}  // namespace
}  // namespace triptych
