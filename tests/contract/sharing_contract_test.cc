// SPDX-License-Identifier: Apache-2.0
#include "framework/core/nn.h"
#include "framework/core/shape.h"
#include "framework/model/sharing.h"

#include "tests/contract/minimal_config.h"
#include "tests/support/tensor_matchers.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {

using Tasks = std::vector<std::string>;

std::shared_ptr<Sharing> make_sharing(const config::Node& config, const Tasks& tasks) {
  config::Node backbone = config::Node::map();
  backbone.set("name", config::Node("unet"));
  backbone.set("width", config::Node(4));
  backbone.set("depth", config::Node(2));
  return SharingRegistry::instance().create(config, tasks, [backbone] {
    return BackboneRegistry::instance().create(backbone, BackboneInput{1});
  });
}

config::Node named(const std::string& name) {
  config::Node config = config::Node::map();
  config.set("name", config::Node(name));
  return config;
}

at::Tensor flat(const FeaturePyramid& pyramid) {
  std::vector<at::Tensor> levels;
  for (const at::Tensor& level : pyramid.levels) levels.push_back(level.flatten(1));
  return at::cat(levels, 1);
}

class SharingContract : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    at::manual_seed(5);
    sharing_ = make_sharing(named(GetParam()), tasks_);
    image_ = at::randn({2, 1, 1, 16, 24});
  }
  Tasks tasks_ = {"bone", "noise", "motion"};
  std::shared_ptr<Sharing> sharing_;
  at::Tensor image_;
};

TEST_P(SharingContract, GivesEveryTaskAPyramidAsDeclared) {
  const PyramidSpec spec = sharing_->column().levels();
  const auto pyramids = sharing_->forward(image_, tasks_);
  ASSERT_EQ(pyramids.size(), 3U);
  for (const auto& [task, pyramid] : pyramids) {
    ASSERT_EQ(pyramid.levels.size(), spec.levels.size());
    for (std::size_t i = 0; i < spec.levels.size(); ++i) {
      const LevelSpec& level = spec.levels[i];
      check_shape(pyramid.levels[i],
                  {2, level.channels, 1, 16 / level.stride[1], 24 / level.stride[2]},
                  task);
      EXPECT_TRUE(at::isfinite(pyramid.levels[i]).all().item<bool>());
    }
  }
}

TEST_P(SharingContract, GivesATaskTheSameWhoeverElseAsks) {
  sharing_->eval();
  const at::NoGradGuard no_grad;
  const auto together = sharing_->forward(image_, tasks_);
  const auto alone = sharing_->forward(image_, {"noise"});
  EXPECT_EQ(alone.size(), 1U);
  EXPECT_TRUE(at::equal(flat(alone.at("noise")), flat(together.at("noise"))));
}

TEST_P(SharingContract, GradientsReachEveryParameter) {
  at::Tensor total = at::zeros({});
  for (const auto& [task, pyramid] : sharing_->forward(image_, tasks_))
    total = total + flat(pyramid).square().mean();
  total.backward();
  for (const auto& parameter : sharing_->named_parameters()) {
    if (!parameter.value().requires_grad()) continue;
    ASSERT_TRUE(parameter.value().grad().defined()) << parameter.key();
    EXPECT_GT(parameter.value().grad().abs().sum().item<double>(), 0.0) << parameter.key();
  }
}

TEST_P(SharingContract, FoldedColumnsGiveTheSame) {
  sharing_->train();
  sharing_->forward(image_, tasks_);  // batch norm sees something
  sharing_->eval();
  const at::NoGradGuard no_grad;
  const at::Tensor before = flat(sharing_->forward(image_, tasks_).at("motion"));
  sharing_->fold();
  EXPECT_TRUE(
      testing::near(flat(sharing_->forward(image_, tasks_).at("motion")), before, 1e-4, 1e-4));
}

TEST_P(SharingContract, ServesOneTaskAlone) {
  const auto sharing = make_sharing(named(GetParam()), {"bone"});
  EXPECT_EQ(sharing->forward(image_, {"bone"}).size(), 1U);
}

TEST_P(SharingContract, PenaltyIsAScalarOrNothing) {
  const at::Tensor penalty = sharing_->penalty();
  if (!penalty.defined()) GTEST_SKIP();
  EXPECT_EQ(penalty.dim(), 0);
  EXPECT_GE(penalty.item<double>(), 0.0);
}

INSTANTIATE_TEST_SUITE_P(Registered,
                         SharingContract,
                         ::testing::ValuesIn(SharingRegistry::instance().names()),
                         [](const auto& parameters) { return parameters.param; });

at::Tensor parameter(Sharing& sharing, const std::string& name) {
  return sharing.named_parameters()[name];
}

TEST(CrossStitch, IsSeparateColumnsWhenNothingIsMixed) {
  config::Node config = named("cross_stitch");
  config.set("own", config::Node(1.0));
  const auto sharing = make_sharing(config, {"a", "b"});
  sharing->eval();
  const at::NoGradGuard no_grad;
  const at::Tensor image = at::randn({1, 1, 1, 8, 8});
  const at::Tensor expected =
      flat(const_cast<Backbone&>(sharing->column()).forward(image));  // the first task's column
  EXPECT_TRUE(testing::near(flat(sharing->forward(image, {"a"}).at("a")), expected, 1e-6));
  at::Tensor(parameter(*sharing, "stitch_encoder_0")).select(0, 0).select(0, 1).fill_(0.5F);
  EXPECT_FALSE(testing::near(flat(sharing->forward(image, {"a"}).at("a")), expected, 1e-3));
}

TEST(CrossStitch, MixesTheLastStageByItsMatrix) {
  const auto sharing = make_sharing(named("cross_stitch"), {"a", "b", "c"});
  sharing->eval();
  const at::NoGradGuard no_grad;
  const at::Tensor image = at::randn({1, 1, 1, 8, 8});
  at::Tensor matrix = parameter(*sharing, "stitch_decoder_0");
  EXPECT_NEAR(matrix[0][0][0].item<double>(), 0.9, 1e-6);
  EXPECT_NEAR(matrix[0][1][0].item<double>(), 0.05, 1e-6);
  matrix.copy_(at::eye(3).unsqueeze(2).expand_as(matrix));
  const auto plain = sharing->forward(image, {"a", "b", "c"});
  matrix[0][1].fill_(2.0F);
  matrix[0][2].fill_(-1.0F);
  const at::Tensor mixed = sharing->forward(image, {"a"}).at("a").level(0);
  EXPECT_TRUE(testing::near(
      mixed, plain.at("a").level(0) + 2.0 * plain.at("b").level(0) - plain.at("c").level(0), 1e-4));
  EXPECT_NEAR(sharing->mixing().back().second[0][1].item<double>(), 2.0, 1e-6);
}

TEST(CrossStitch, WithoutPassedGradientsALossTrainsItsOwnColumnAlone) {
  config::Node config = named("cross_stitch");
  at::manual_seed(3);
  const auto coupled = make_sharing(config, {"a", "b"});
  config.set("pass_gradients", config::Node(false));
  at::manual_seed(3);
  const auto apart = make_sharing(config, {"a", "b"});
  const at::Tensor image = at::randn({1, 1, 1, 8, 8});
  for (const std::vector<std::string>& asked : {Tasks{"a"}, Tasks{"a", "b"}}) {
    apart->zero_grad();
    const at::Tensor own = flat(apart->forward(image, asked).at("a"));
    EXPECT_TRUE(at::equal(own, flat(coupled->forward(image, asked).at("a"))));
    own.square().sum().backward();
    for (const auto& parameter : apart->named_parameters()) {
      const at::Tensor gradient = parameter.value().grad();
      const std::string& name = parameter.key();
      if (name.starts_with("stitch_")) {
        EXPECT_GT(gradient[0][1].abs().sum().item<double>(), 0.0) << name;
        EXPECT_EQ(gradient[1].abs().sum().item<double>(), 0.0) << name;
        continue;
      }
      const bool reached = gradient.defined() && gradient.abs().sum().item<double>() > 0.0;
      EXPECT_EQ(reached, name.starts_with("column_a.")) << name;
    }
  }
}

TEST(Soft, PenaltyIsTheTraceOfThePaper) {
  config::Node config = named("soft");
  config.set("strength", config::Node(2.0));
  const auto sharing = make_sharing(config, {"a", "b"});
  at::Tensor gram = at::zeros({2, 2}, at::kDouble);
  std::vector<at::Tensor> kernels;
  {
    const at::NoGradGuard no_grad;
    for (const auto& own : sharing->named_parameters()) {
      if (!own.key().starts_with("column_a.") || own.value().dim() < 2) continue;
      at::Tensor other = parameter(*sharing, "column_b." + own.key().substr(9));
      EXPECT_TRUE(at::equal(own.value(), other)) << own.key();
      other.mul_(0.5).add_(at::randn_like(other) * 0.1);
      kernels.push_back(
          at::stack({own.value().reshape({-1}), other.reshape({-1})}, 1).to(at::kDouble));
      gram += kernels.back().t().matmul(kernels.back());
    }
  }
  // (gram)^(1/2) of a 2 x 2 matrix: (gram + sqrt(det) I) / sqrt(trace + 2 sqrt(det)).
  const double root_of_det = at::linalg_det(gram).sqrt().item<double>();
  const double trace = gram.trace().item<double>();
  at::Tensor root =
      (gram + root_of_det * at::eye(2, at::kDouble)) / std::sqrt(trace + 2.0 * root_of_det);
  root = root / root.trace() + 0.01 * at::eye(2, at::kDouble);
  const double expected = (at::inverse(root).matmul(gram)).trace().item<double>();
  EXPECT_NEAR(sharing->penalty().item<double>(), expected, 1e-3 * expected);
}

TEST(Attention, KeepsTheSharedFeaturesWhereMasksAreOne) {
  const auto sharing = make_sharing(named("attention"), {"a", "b"});
  sharing->eval();
  const at::NoGradGuard no_grad;
  for (const auto& own : sharing->named_parameters()) {
    if (own.key().ends_with("mask.weight")) at::Tensor(own.value()).zero_();
    if (own.key().ends_with("mask.bias")) at::Tensor(own.value()).fill_(30.0F);
  }
  const at::Tensor image = at::randn({1, 1, 1, 8, 8});
  const at::Tensor shared = flat(const_cast<Backbone&>(sharing->column()).forward(image));
  for (const auto& [task, pyramid] : sharing->forward(image, {"a", "b"}))
    EXPECT_TRUE(testing::near(flat(pyramid), shared, 1e-6)) << task;
}

TEST(Attention, ATasksGradientReachesTheTrunkTheCarriersAndItsOwnMasks) {
  const auto sharing = make_sharing(named("attention"), {"a", "b"});
  const at::Tensor image = at::randn({1, 1, 1, 8, 8});
  flat(sharing->forward(image, {"a", "b"}).at("a")).square().sum().backward();
  for (const auto& own : sharing->named_parameters()) {
    const bool others = own.key().starts_with("attention_b_");
    EXPECT_EQ(own.value().grad().defined(), !others) << own.key();
  }
}

TEST(Attention, WhatATaskAttendedToReachesItsNextMaskThroughTheCarrier) {
  const auto sharing = make_sharing(named("attention"), {"a", "b"});
  sharing->eval();
  const at::NoGradGuard no_grad;
  const at::Tensor image = at::randn({1, 1, 1, 8, 8});
  const auto before = sharing->forward(image, {"a", "b"});
  at::Tensor(parameter(*sharing, "attention_a_encoder_0.mask.bias")).fill_(-30.0F);
  const auto after = sharing->forward(image, {"a", "b"});
  const auto coarsest = before.at("a").levels.size() - 1;
  EXPECT_FALSE(at::equal(before.at("a").levels[coarsest], after.at("a").levels[coarsest]));
  EXPECT_TRUE(at::equal(flat(before.at("b")), flat(after.at("b"))));
}

TEST(Attention, ConvolvesWhatItCarriesInThreeDimensionsInAVolume) {
  config::Node backbone = config::Node::map();
  backbone.set("name", config::Node("unet"));
  backbone.set("width", config::Node(2));
  backbone.set("depth", config::Node(2));
  backbone.set("dimensions", config::Node(3));
  const auto sharing = SharingRegistry::instance().create(named("attention"), {"a"}, [backbone] {
    return BackboneRegistry::instance().create(backbone, BackboneInput{1});
  });
  EXPECT_EQ(parameter(*sharing, "carrier_encoder_1.weight").sizes(),
            (std::vector<std::int64_t>{4, 2, 3, 3, 3}));
  const FeaturePyramid pyramid = sharing->forward(at::randn({1, 1, 8, 8, 8}), {"a"}).at("a");
  check_shape(pyramid.level(0), {1, 2, 8, 8, 8}, "finest");
}

TEST(Attention, PassesAtMostTheSharedFeatures) {
  const auto sharing = make_sharing(named("attention"), {"a", "b"});
  sharing->eval();
  const at::NoGradGuard no_grad;
  const at::Tensor image = at::randn({1, 1, 1, 8, 8});
  const at::Tensor shared = flat(const_cast<Backbone&>(sharing->column()).forward(image));
  const auto pyramids = sharing->forward(image, {"a", "b"});
  for (const auto& [task, pyramid] : pyramids)
    EXPECT_TRUE((flat(pyramid).abs() <= shared.abs()).all().item<bool>()) << task;
  EXPECT_FALSE(at::equal(flat(pyramids.at("a")), flat(pyramids.at("b"))));
}

}  // namespace
}  // namespace triptych
