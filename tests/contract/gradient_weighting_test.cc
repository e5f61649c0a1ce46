// SPDX-License-Identifier: Apache-2.0
// What the weightings promise beyond the contract: formulas of their papers and properties.
#include "framework/learn/gradient_gram.h"
#include "framework/learn/weighting.h"

#include "tests/support/tensor_matchers.h"

#include <cmath>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {

std::shared_ptr<Weighting> make(const std::string& name,
                                std::size_t tasks,
                                const std::map<std::string, double>& settings = {}) {
  config::Node config = config::Node::map();
  config.set("name", config::Node(name));
  for (const auto& [key, value] : settings) config.set(key, config::Node(value));
  WeightingTasks keys;
  for (std::size_t t = 0; t < tasks; ++t) {
    keys.keys.push_back("task_" + std::to_string(t));
    keys.weights.push_back(1.0);
  }
  return WeightingRegistry::instance().create(config, keys);
}

at::Tensor all_present(std::int64_t tasks) { return at::ones({tasks}, at::kBool); }

at::Tensor aggregate(const std::string& name,
                     const at::Tensor& jacobian,
                     const std::map<std::string, double>& settings = {}) {
  const auto tasks = jacobian.size(0);
  return make(name, static_cast<std::size_t>(tasks), settings)
      ->aggregate(jacobian, at::ones({tasks}), all_present(tasks));
}

at::Tensor random_jacobian(std::int64_t tasks, std::uint64_t seed) {
  at::manual_seed(seed);
  return at::randn({tasks, 20});
}

class GradientWeighting : public ::testing::TestWithParam<const char*> {};

TEST_P(GradientWeighting, KeepsTheSumOrMeanOfOrthogonalGradients) {
  const at::Tensor jacobian = at::tensor({2.0F, 0.0F, 0.0F, 2.0F}).view({2, 2});
  const at::Tensor gradient = aggregate(GetParam(), jacobian);
  EXPECT_NEAR(gradient[0].item<double>(), gradient[1].item<double>(), 1e-6);
  EXPECT_GT(gradient[0].item<double>(), 0.0);
}

TEST_P(GradientWeighting, DoesNotReadAbsentTasks) {
  at::Tensor jacobian = random_jacobian(3, 1);
  jacobian[1].zero_();
  const at::Tensor present = at::tensor({1, 0, 1}).to(at::kBool);
  const at::Tensor two = at::stack({jacobian[0], jacobian[2]});
  at::Tensor losses = at::tensor({1.0F, std::nanf(""), 1.0F});
  const at::Tensor with_absent = make(GetParam(), 3)->aggregate(jacobian, losses, present);
  EXPECT_TRUE(testing::near(with_absent, aggregate(GetParam(), two), 1e-5));
}

TEST_P(GradientWeighting, IsTheSameWhateverTheTasksOrder) {
  const at::Tensor jacobian = random_jacobian(2, 3);
  EXPECT_TRUE(testing::near(
      aggregate(GetParam(), jacobian), aggregate(GetParam(), jacobian.flip(0).contiguous()), 1e-4));
}

TEST_P(GradientWeighting, GrowsWithTheGradients) {
  const at::Tensor jacobian = random_jacobian(2, 4);
  EXPECT_TRUE(testing::near(
      aggregate(GetParam(), 8.0 * jacobian), 8.0 * aggregate(GetParam(), jacobian), 1e-4));
}

INSTANTIATE_TEST_SUITE_P(Methods,
                         GradientWeighting,
                         ::testing::Values("pcgrad", "cagrad", "gradnorm"));

TEST(Pcgrad, ProjectsConflictingGradientsOntoEachOthersNormalPlane) {
  const at::Tensor jacobian = at::tensor({1.0F, 0.0F, -1.0F, 1.0F}).view({2, 2});
  // g_1 - <g_1, g_2> / |g_2|^2 g_2 = (0.5, 0.5), g_2 - <g_2, g_1> / |g_1|^2 g_1 = (0, 1).
  EXPECT_TRUE(testing::near(aggregate("pcgrad", jacobian), at::tensor({0.5F, 1.5F}), 1e-6));
}

TEST(Pcgrad, LeavesAgreeingGradientsAlone) {
  const at::Tensor jacobian = random_jacobian(3, 7).abs();
  EXPECT_TRUE(testing::near(aggregate("pcgrad", jacobian), jacobian.sum(0), 1e-5));
}

TEST(Pcgrad, OpposesNoneOfTwoTasks) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const at::Tensor jacobian = random_jacobian(2, seed);
    const at::Tensor gains = jacobian.matmul(aggregate("pcgrad", jacobian));
    EXPECT_GE(gains.min().item<double>(), -1e-5);
  }
}

/// The worst task's gain within the ball, by brute force over directions in the plane.
double best_worst_gain(const at::Tensor& jacobian, double c) {
  const at::Tensor mean = jacobian.mean(0);
  const double radius = c * mean.norm().item<double>();
  double best = -1e9;
  for (int i = 0; i < 3600; ++i) {
    const double angle = i * M_PI / 1800.0;
    const at::Tensor direction =
        mean + radius * at::tensor({std::cos(angle), std::sin(angle)}).to(at::kFloat);
    best = std::max(best, jacobian.matmul(direction).min().item<double>());
  }
  return best;
}

TEST(Cagrad, HelpsTheTaskWorstOffMostWithinTheBall) {
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    at::manual_seed(seed);
    const at::Tensor jacobian = at::randn({3, 2});
    const at::Tensor direction = aggregate("cagrad", jacobian, {{"c", 0.5}});
    const at::Tensor mean = jacobian.mean(0);
    EXPECT_LE((direction - mean).norm().item<double>(), 0.5 * mean.norm().item<double>() + 1e-5);
    EXPECT_NEAR(
        jacobian.matmul(direction).min().item<double>(), best_worst_gain(jacobian, 0.5), 1e-4);
  }
}

TEST(Cagrad, IsTheMeanWithoutRadius) {
  const at::Tensor jacobian = random_jacobian(3, 2);
  EXPECT_TRUE(testing::near(aggregate("cagrad", jacobian, {{"c", 0.0}}), jacobian.mean(0), 1e-5));
}

TEST(Gradnorm, BringsTheLengthsOfTheGradientsTogether) {
  const auto weighting = make("gradnorm", 2, {{"alpha", 0.0}, {"learning_rate", 0.01}});
  const at::Tensor jacobian = at::tensor({4.0F, 0.0F, 0.0F, 1.0F}).view({2, 2});
  for (int i = 0; i < 300; ++i) weighting->aggregate(jacobian, at::ones({2}), all_present(2));
  const std::vector<double> weights = weighting->current_weights();
  EXPECT_NEAR(4.0 * weights[0], weights[1], 0.05);
  EXPECT_NEAR(weights[0] + weights[1], 2.0, 1e-9);
}

TEST(Gradnorm, FirstStepFollowsTheFormula) {
  const auto weighting = make("gradnorm", 2, {{"alpha", 1.0}, {"learning_rate", 0.1}});
  const at::Tensor jacobian = at::tensor({3.0F, 0.0F, 0.0F, 1.0F}).view({2, 2});
  weighting->aggregate(jacobian, at::tensor({5.0F, 7.0F}), all_present(2));
  // Lengths 3 and 1, targets 2 and 2: w_1 - 0.1 * 3 / 2, w_2 + 0.1 * 1 / 2, then to the sum 2.
  const double sum = 0.85 + 1.05;
  EXPECT_NEAR(weighting->current_weights()[0], 2.0 * 0.85 / sum, 1e-9);
  EXPECT_NEAR(weighting->current_weights()[1], 2.0 * 1.05 / sum, 1e-9);
}

TEST(Gradnorm, PullsTheTaskThatLearnsSlowly) {
  const auto weighting = make("gradnorm", 2);
  const at::Tensor jacobian = at::eye(2);
  weighting->aggregate(jacobian, at::tensor({1.0F, 1.0F}), all_present(2));
  for (int i = 0; i < 5; ++i)
    weighting->aggregate(jacobian, at::tensor({1.0F, 0.2F}), all_present(2));
  EXPECT_GT(weighting->current_weights()[0], weighting->current_weights()[1]);
}

TEST(DynamicAverage, FollowsTheFormulaAfterTwoIntervals) {
  const auto weighting = make("dynamic_average", 2, {{"temperature", 2.0}});
  config::Node config = config::Node::map();
  config.set("name", config::Node("dynamic_average"));
  config.set("interval", config::Node(2));
  const auto two = WeightingRegistry::instance().create(config, {{"a", "b"}, {1.0, 1.0}});
  const at::Tensor present = all_present(2);
  two->combine(at::tensor({3.0F, 4.0F}), present);
  two->combine(at::tensor({5.0F, 4.0F}), present);
  EXPECT_EQ(two->current_weights(), (std::vector<double>{1.0, 1.0}));
  two->combine(at::tensor({2.0F, 4.0F}), present);
  two->combine(at::tensor({2.0F, 2.0F}), present);
  const double a = std::exp(2.0 / 4.0 / 2.0), b = std::exp(3.0 / 4.0 / 2.0);
  EXPECT_NEAR(two->current_weights()[0], 2.0 * a / (a + b), 1e-9);
  EXPECT_NEAR(two->combine(at::tensor({1.0F, 1.0F}), present).item<double>(), 2.0, 1e-6);
}

TEST(Famo, WeighsByInverseLossesFirst) {
  const auto weighting = make("famo", 2);
  const at::Tensor total = weighting->combine(at::tensor({1.0F, 4.0F}), all_present(2));
  // z = 1/2 each: weights 1 / L over their sum, 0.8 and 0.2.
  EXPECT_NEAR(total.item<double>(), 0.8 + 0.2 * 4.0, 1e-6);
}

std::shared_ptr<Weighting> famo_from_batch_to_batch() {
  config::Node config = config::Node::map();
  config.set("name", config::Node("famo"));
  config.set("decay", config::Node(0.0));
  config.set("same_batch", config::Node(false));
  return WeightingRegistry::instance().create(config, {{"a", "b"}, {1.0, 1.0}});
}

TEST(Famo, TurnsToTheTaskThatFallsSlowly) {
  const auto weighting = famo_from_batch_to_batch();
  for (int i = 0; i < 50; ++i) {
    const auto fast = static_cast<float>(std::pow(0.9, i));
    weighting->combine(at::tensor({fast, 1.0F}), all_present(2));
  }
  const double last = std::pow(0.9, 49);
  const std::vector<double> weights = weighting->current_weights();
  EXPECT_GT(weights[1], weights[0] * last);  // z_2 > z_1
}

// z = (1/2, 1/2) and a fall of (log 2, 0) give xi = (-x, x) with x = rate * log(2) / 4.
TEST(Famo, FollowsTheFallOnTheSameBatch) {
  constexpr double kRate = 0.5, kDecay = 0.1;
  const auto weighting = make("famo", 2, {{"learning_rate", kRate}, {"decay", kDecay}});
  ASSERT_TRUE(weighting->looks_back());
  weighting->combine(at::tensor({2.0F, 1.0F}), all_present(2));
  weighting->look_back(at::tensor({1.0F, 1.0F}), all_present(2));
  const double first = kRate * std::log(2.0) / 4.0;
  weighting->combine(at::ones({2}), all_present(2));
  EXPECT_NEAR(weighting->current_weights()[0], 1.0 / (1.0 + std::exp(2.0 * first)), 1e-9);
  weighting->combine(at::tensor({8.0F, 4.0F}), all_present(2));  // another batch: no fall
  weighting->look_back(at::tensor({8.0F, 4.0F}), all_present(2));
  const double second = first * (1.0 - kRate * kDecay);
  weighting->combine(at::ones({2}), all_present(2));
  EXPECT_NEAR(weighting->current_weights()[0], 1.0 / (1.0 + std::exp(2.0 * second)), 1e-9);
}

TEST(Famo, KeepsTheLogitOfAnAbsentTask) {
  const auto weighting = make("famo", 2, {{"decay", 0.0}});
  const at::Tensor first_alone = at::tensor({1, 0}).to(at::kBool);
  weighting->combine(at::tensor({2.0F, 3.0F}), all_present(2));
  weighting->look_back(at::tensor({2.0F, std::nanf("")}), first_alone);
  weighting->combine(at::ones({2}), all_present(2));
  EXPECT_NEAR(weighting->current_weights()[0], 0.5, 1e-9);
}

TEST(Famo, NeedsNoSecondPassFromBatchToBatch) {
  EXPECT_FALSE(famo_from_batch_to_batch()->looks_back());
}

TEST(Normalised, TakesTheLossesUnitAway) {
  for (const float unit : {1.0F, 1000.0F}) {
    const auto weighting = make("normalised", 2);
    const auto plain = make("uncertainty", 2);
    weighting->combine(at::tensor({2.0F * unit, 3.0F}), all_present(2));
    EXPECT_NEAR(weighting->combine(at::tensor({2.0F * unit, 3.0F}), all_present(2)).item<double>(),
                plain->combine(at::ones({2}), all_present(2)).item<double>(),
                1e-5);
  }
}

TEST(GradientGram, AddsUpInDouble) {
  const at::Tensor jacobian = at::full({2, 3000000}, 0.1F);
  const GradientGram gram(jacobian, all_present(2), {1.0, 2.0});
  const double square = static_cast<double>(0.1F) * static_cast<double>(0.1F) * 3e6;
  EXPECT_NEAR(gram.dot(0, 1), 2.0 * square, 1e-6 * square);
  EXPECT_NEAR(gram.combination({1.0, 0.5})[0].item<double>(), 0.2, 1e-6);
}

}  // namespace
}  // namespace triptych
