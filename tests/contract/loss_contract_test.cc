// SPDX-License-Identifier: Apache-2.0
#include "framework/learn/loss.h"

#include "tests/contract/minimal_config.h"
#include "tests/support/tensor_matchers.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/autograd.h>

namespace triptych {
namespace {

class LossContract : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    loss_ = LossRegistry::instance().create(
        testing::minimal_config(LossRegistry::instance(), GetParam()));
    target_ = loss_->is_classification() ? at::randint(0, 3, {2, 2, 4, 4}, at::kLong)
                                         : at::rand({2, 3, 2, 4, 4});
  }
  at::Tensor value(const at::Tensor& prediction) const {
    return (*loss_)(prediction, target_, LossContext{});
  }
  at::Tensor perfect() const {
    if (!loss_->is_classification()) return target_.clone();
    return at::one_hot(target_, 3).permute({0, 4, 1, 2, 3}).to(at::kFloat) * 40.0;
  }
  std::shared_ptr<Loss> loss_;
  at::Tensor target_;
};

TEST_P(LossContract, IsAFiniteScalarThatAPerfectPredictionMinimises) {
  const double best = value(perfect()).item<double>();
  EXPECT_NEAR(best, 0.0, 0.02);
  for (int i = 0; i < 5; ++i) {
    const at::Tensor loss = value(at::randn({2, 3, 2, 4, 4}));
    EXPECT_EQ(loss.dim(), 0);
    EXPECT_GT(loss.item<double>(), best);
  }
}

TEST_P(LossContract, StaysFiniteForHugeLogits) {
  for (const double scale : {0.0, 1e4, -1e4}) {
    EXPECT_TRUE(at::isfinite(value(at::ones({2, 3, 2, 4, 4}) * scale)).item<bool>()) << scale;
  }
}

TEST_P(LossContract, HasTheGradientOfFiniteDifferences) {
  at::Tensor x = at::randn({2, 3, 2, 4, 4});
  x.requires_grad_(true);
  const at::Tensor gradient = torch::autograd::grad({value(x)}, {x})[0];
  at::NoGradGuard no_grad;
  const at::Tensor direction = at::randn_like(x);
  const double step = 1e-3;  // few kinks of absolute values lie within
  const double numeric =
      (value(x + step * direction) - value(x - step * direction)).item<double>() / (2.0 * step);
  EXPECT_NEAR(
      (gradient * direction).sum().item<double>(), numeric, 2e-3 + 0.02 * std::abs(numeric));
}

TEST_P(LossContract, IgnoresUnlabelledVoxels) {
  if (!loss_->is_classification()) GTEST_SKIP();
  at::Tensor x = at::randn({2, 3, 2, 4, 4});
  target_.select(3, 0).fill_(-1);
  const double before = value(x).item<double>();
  x.select(4, 0).fill_(7.0).select(1, 1).fill_(-7.0);
  EXPECT_NEAR(value(x).item<double>(), before, 1e-5);
  target_.fill_(-1);
  EXPECT_TRUE(at::isfinite(value(x)).item<bool>());
}

INSTANTIATE_TEST_SUITE_P(Registered,
                         LossContract,
                         ::testing::ValuesIn(LossRegistry::instance().names()),
                         [](const auto& parameters) { return parameters.param; });

}  // namespace
}  // namespace triptych
