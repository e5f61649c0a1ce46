// SPDX-License-Identifier: Apache-2.0
#include "framework/core/nn.h"
#include "framework/learn/adversary.h"

#include "tests/contract/minimal_config.h"

#include <gtest/gtest.h>

namespace triptych {
namespace {

class AdversaryContract : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    adversary_ = AdversaryRegistry::instance().create(
        testing::minimal_config(AdversaryRegistry::instance(), GetParam()),
        TaskContext{"task", {}, 2});
    BatchEntry clean;
    clean.data = torch::rand({3, 2, 1, 32, 32});
    clean.items = {0, 1, 2};
    clean.geometry.resize(3);
    batch_.entries["clean"] = clean;
    batch_.ids = {"a", "b", "c"};
    prediction_ = Prediction::intensity(torch::rand({3, 2, 1, 32, 32}));
  }
  std::shared_ptr<Adversary> adversary_;
  Batch batch_;
  Prediction prediction_;
};

TEST_P(AdversaryContract, GivesThePredictionAGradient) {
  prediction_.value.requires_grad_(true);
  const at::Tensor loss = adversary_->generator_loss(prediction_, batch_);
  EXPECT_EQ(loss.dim(), 0);
  loss.backward();
  EXPECT_TRUE(at::isfinite(prediction_.value.grad()).all().item<bool>());
  EXPECT_GT(prediction_.value.grad().abs().sum().item<double>(), 0.0);
}

TEST_P(AdversaryContract, PassesItsOwnLossToEveryWeight) {
  const at::Tensor loss = adversary_->own_loss(prediction_, batch_);
  EXPECT_EQ(loss.dim(), 0);
  EXPECT_TRUE(at::isfinite(loss).item<bool>());
  loss.backward();
  for (const auto& parameter : adversary_->named_parameters()) {
    ASSERT_TRUE(parameter.value().grad().defined()) << parameter.key();
    EXPECT_TRUE(at::isfinite(parameter.value().grad()).all().item<bool>()) << parameter.key();
    if (parameter.value().dim() < 2) continue;  // a bias may cancel between real and made images
    EXPECT_GT(parameter.value().grad().abs().sum().item<double>(), 0.0) << parameter.key();
  }
}

TEST_P(AdversaryContract, StaysFiniteForHugeValues) {
  for (const double scale : {0.0, 1e4}) {
    const Prediction huge = Prediction::intensity(prediction_.value * scale);
    EXPECT_TRUE(at::isfinite(adversary_->own_loss(huge, batch_)).item<bool>()) << scale;
    EXPECT_TRUE(at::isfinite(adversary_->generator_loss(huge, batch_)).item<bool>()) << scale;
  }
}

INSTANTIATE_TEST_SUITE_P(Registered,
                         AdversaryContract,
                         ::testing::ValuesIn(AdversaryRegistry::instance().names()),
                         [](const auto& parameters) { return parameters.param; });

}  // namespace
}  // namespace triptych
