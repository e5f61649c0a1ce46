// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/field_filter.h"

#include "framework/core/parallel.h"

#include "tests/support/tensor_matchers.h"

#include <cmath>

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

namespace triptych {
namespace {

using testing::near;

at::Tensor by_kernel(const at::Tensor& field, int repetitions, bool adjoint) {
  FieldFilter filter({field.size(2), field.size(3), field.size(4)}, repetitions);
  at::Tensor result = field.clone();
  float* values = result.data_ptr<float>();
  adjoint ? filter.adjoint_in_place(values) : filter.smooth_in_place(values);
  return result;
}

TEST(FieldFilter, KernelEqualsOperators) {
  for (const Index3& shape : {Index3{7, 9, 21}, Index3{1, 6, 8}, Index3{2, 1, 5}}) {
    const at::Tensor field = at::randn({1, 3, shape[0], shape[1], shape[2]});
    for (int repetitions = 0; repetitions <= 3; ++repetitions) {
      const FieldFilter filter(shape, repetitions);
      EXPECT_TRUE(near(by_kernel(field, repetitions, false), filter.smooth(field), 1e-5));
      EXPECT_TRUE(near(by_kernel(field, repetitions, true), filter.adjoint(field), 1e-5));
    }
  }
}

TEST(FieldFilter, AdjointIsTheTransposedOfSmoothing) {
  const at::Tensor a = at::randn({1, 3, 4, 9, 5}, at::kDouble);
  const at::Tensor b = at::randn({1, 3, 4, 9, 5}, at::kDouble);
  const FieldFilter filter({4, 9, 5}, 3);
  EXPECT_NEAR((filter.smooth(a) * b).sum().item<double>(),
              (a * filter.adjoint(b)).sum().item<double>(),
              1e-10);
}

TEST(FieldFilter, KeepsConstantsAndSpreadsAPulseByRepeatedAverages) {
  EXPECT_TRUE(near(
      by_kernel(at::full({1, 3, 5, 6, 7}, 2.5), 3, false), at::full({1, 3, 5, 6, 7}, 2.5), 1e-5));
  at::Tensor pulse = at::zeros({1, 3, 1, 1, 15});
  pulse.select(4, 7).fill_(27.0F);
  const at::Tensor spread = by_kernel(pulse, 3, false)[0][0][0][0].narrow(0, 4, 7);
  EXPECT_TRUE(near(spread, at::tensor({1.0F, 3.0F, 6.0F, 7.0F, 6.0F, 3.0F, 1.0F}), 1e-5));
}

TEST(FieldFilter, HasTheSameBitsForEveryNumberOfThreads) {
  const at::Tensor field = at::randn({1, 3, 9, 20, 33});
  const at::Tensor one = by_kernel(field, 3, true);
  set_num_threads(5);
  EXPECT_TRUE(at::equal(by_kernel(field, 3, true), one));
}

TEST(DiffusionGradient, IsTheDerivativeOfTheRoughness) {
  const double factor[3][3] = {{1.0, 2.0, 3.0}, {0.5, 0.25, 4.0}, {1.5, 0.0, 2.5}};
  const at::Tensor u = at::randn({3, 4, 5, 19}).set_requires_grad(true);
  at::Tensor energy = at::zeros({}, at::kDouble);
  for (std::int64_t c = 0; c < 3; ++c) {
    for (std::int64_t a = 0; a < 3; ++a) {
      const at::Tensor part = u[c].to(at::kDouble);
      energy = energy + factor[c][a] / 3.0 * part.diff(1, 2 - a).square().sum();
    }
  }
  const at::Tensor expected = torch::autograd::grad({energy}, {u})[0];
  at::Tensor gradient = at::ones_like(u).detach();
  add_diffusion_gradient(
      {4, 5, 19}, factor, u.detach().data_ptr<float>(), gradient.data_ptr<float>());
  EXPECT_TRUE(near(gradient - 1.0, expected, 1e-4));
}

TEST(AdamState, TakesTheStepsOfTheFormula) {
  const std::vector<float> gradients{0.5F, -2.0F, 1.0F};
  AdamState adam(1);
  float value = 1.0F;
  double m = 0.0, v = 0.0, expected = 1.0;
  for (int k = 1; k <= 3; ++k) {
    const double g = gradients[static_cast<std::size_t>(k - 1)];
    adam.step(&gradients[static_cast<std::size_t>(k - 1)], 0.1, 0.01, &value);
    m = 0.9 * m + 0.1 * g;
    v = 0.999 * v + 0.001 * g * g;
    expected -=
        0.1 * (m / (1.0 - std::pow(0.9, k))) / (std::sqrt(v / (1.0 - std::pow(0.999, k))) + 0.01);
    EXPECT_NEAR(value, expected, 1e-6);
  }
}

}  // namespace
}  // namespace triptych
