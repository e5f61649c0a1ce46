// SPDX-License-Identifier: Apache-2.0
#include "framework/learn/optimizer.h"

#include "tests/support/tensor_matchers.h"

#include <algorithm>
#include <type_traits>

#include <gtest/gtest.h>
#include <torch/optim.h>
#include <torch/types.h>

namespace triptych {
namespace {

using testing::error_message;
using testing::near;

/// Parameters of several shapes, one of them channels-last, equal for every call.
NamedTensors make_parameters(at::ScalarType type) {
  torch::manual_seed(7);
  NamedTensors parameters = {
      {"weight", torch::randn({4, 3, 3, 3}).to(type).contiguous(at::MemoryFormat::ChannelsLast)},
      {"bias", torch::randn({4}).to(type)},
      {"scale", torch::randn({}).to(type)}};
  for (auto& [name, tensor] : parameters) tensor.set_requires_grad(true);
  return parameters;
}

std::vector<at::Tensor> tensors_of(const NamedTensors& named) {
  std::vector<at::Tensor> tensors;
  for (const auto& [name, tensor] : named) tensors.push_back(tensor);
  return tensors;
}

/// Gradients of a quartic bowl, so that every step has new ones.
void set_gradients(const NamedTensors& parameters) {
  at::Tensor loss = torch::zeros({}, parameters[0].second.options().requires_grad(false));
  for (const auto& [name, tensor] : parameters)
    loss = loss + ((tensor - 0.3).pow(4)).sum() + tensor.sum() * 0.1;
  loss.backward();
}

constexpr int kSteps = 20;

template <class AnyOptimizer>
NamedTensors walked(AnyOptimizer& optimizer, const NamedTensors& parameters) {
  for (int step = 0; step < kSteps; ++step) {
    optimizer.zero_grad();
    set_gradients(parameters);
    if constexpr (std::is_same_v<AnyOptimizer, Optimizer>) {
      optimizer.step(1.0);
    } else {
      optimizer.step();
    }
  }
  return parameters;
}

template <class Reference, class Options>
NamedTensors walked_by(const Options& options, at::ScalarType type) {
  const NamedTensors parameters = make_parameters(type);
  Reference reference(tensors_of(parameters), options);
  return walked(reference, parameters);
}

double distance(const at::Tensor& a, const at::Tensor& b) {
  return (a.detach().to(at::kDouble) - b.detach().to(at::kDouble)).abs().max().item<double>();
}

/// Ours and LibTorch's `Reference` from equal starts: equal in float64 but for the order of sums;
/// in float32 ours strays from the path of float64 no further than twice as far as LibTorch's own
/// float32 does, or by one rounding of a parameter (|x| < 4).
template <class Reference, class Options>
void expect_equal_paths(const OptimizerConfig& config,
                        const Options& options,
                        at::ScalarType type) {
  const NamedTensors parameters = make_parameters(type);
  Optimizer optimizer(config, parameters);
  const NamedTensors ours = walked(optimizer, parameters);
  const NamedTensors exact = walked_by<Reference>(options, at::kDouble);
  const NamedTensors theirs = walked_by<Reference>(options, type);
  constexpr double kRounding = 2.4e-7;
  for (std::size_t i = 0; i < ours.size(); ++i) {
    const double allowed =
        type == at::kDouble
            ? 1e-13
            : std::max(2.0 * distance(theirs[i].second, exact[i].second), kRounding);
    EXPECT_LE(distance(ours[i].second, exact[i].second), allowed) << ours[i].first;
  }
}

class OptimizerOfType : public ::testing::TestWithParam<at::ScalarType> {
};  // float: plain loops, double: lists of tensors

TEST_P(OptimizerOfType, AdamWalksAsLibTorchs) {
  OptimizerConfig config{.name = "adam", .lr = 1e-2, .weight_decay = 0.02};
  expect_equal_paths<torch::optim::Adam>(
      config, torch::optim::AdamOptions(1e-2).weight_decay(0.02), GetParam());
}

TEST_P(OptimizerOfType, AdamWWalksAsLibTorchs) {
  OptimizerConfig config{.name = "adamw", .lr = 1e-2, .weight_decay = 0.02};
  expect_equal_paths<torch::optim::AdamW>(
      config, torch::optim::AdamWOptions(1e-2).weight_decay(0.02), GetParam());
}

TEST_P(OptimizerOfType, SgdWalksAsLibTorchs) {
  for (const double momentum : {0.0, 0.9}) {
    OptimizerConfig config{.name = "sgd",
                           .lr = 1e-3,
                           .weight_decay = 0.02,
                           .momentum = momentum,
                           .nesterov = momentum > 0.0};
    const auto options =
        torch::optim::SGDOptions(1e-3).weight_decay(0.02).momentum(momentum).nesterov(momentum >
                                                                                      0.0);
    expect_equal_paths<torch::optim::SGD>(config, options, GetParam());
  }
}

INSTANTIATE_TEST_SUITE_P(Types, OptimizerOfType, ::testing::Values(at::kFloat, at::kDouble));

TEST(Optimizer, SkipsParametersWithoutGradient) {
  const NamedTensors parameters = make_parameters(at::kFloat);
  const at::Tensor before = parameters[1].second.detach().clone();
  Optimizer optimizer({}, parameters);
  parameters[0].second.sum().backward();
  optimizer.step(1.0);
  EXPECT_TRUE(near(parameters[1].second.detach(), before, 0.0));
  const SafeTensors state{optimizer.state(), {}};
  EXPECT_EQ(state.find("weight.step").item<std::int64_t>(), 1);
  EXPECT_EQ(state.find("bias.step").item<std::int64_t>(), 0);
  EXPECT_FALSE(state.find("bias.exp_avg").defined());
}

TEST(Optimizer, GoesOnFromASavedStateWithEqualBits) {
  for (const char* name : {"adam", "adamw", "sgd"}) {
    const OptimizerConfig config{.name = name, .lr = 1e-2};
    const NamedTensors whole = make_parameters(at::kFloat), parts = make_parameters(at::kFloat);
    Optimizer uninterrupted(config, whole);
    auto interrupted = std::make_unique<Optimizer>(config, parts);
    for (int step = 0; step < 6; ++step) {
      if (step == 3) {
        SafeTensors saved{interrupted->state(), {}};
        for (auto& [key, tensor] : saved.tensors) tensor = tensor.contiguous().clone();
        interrupted = std::make_unique<Optimizer>(config, parts);
        interrupted->load(saved);
      }
      for (auto [optimizer, parameters] :
           {std::pair(&uninterrupted, &whole), std::pair(interrupted.get(), &parts)}) {
        optimizer->zero_grad();
        set_gradients(*parameters);
        optimizer->step(0.5);
      }
    }
    for (std::size_t i = 0; i < whole.size(); ++i)
      EXPECT_TRUE(at::equal(whole[i].second, parts[i].second)) << name;
  }
}

TEST(Optimizer, NamesWhatDoesNotFitInASavedState) {
  Optimizer optimizer({}, make_parameters(at::kFloat));
  SafeTensors saved{optimizer.state(), {}};
  saved.tensors.erase(saved.tensors.begin());
  saved.tensors.emplace_back("other.step", torch::zeros({1}, torch::kLong));
  const std::string message = error_message("model", [&] { optimizer.load(saved); });
  EXPECT_NE(message.find("'weight.step' is missing"), std::string::npos) << message;
  EXPECT_NE(message.find("'other.step' is unknown"), std::string::npos) << message;
}

TEST(Optimizer, ScalesLongGradientsToTheLargestNorm) {
  const NamedTensors parameters = make_parameters(at::kFloat);
  Optimizer optimizer({}, parameters);
  (parameters[1].second * torch::tensor({3.0F, 0.0F, 0.0F, 4.0F})).sum().backward();
  EXPECT_NEAR(optimizer.clip_gradients(0.0), 5.0, 1e-6);
  EXPECT_NEAR(optimizer.clip_gradients(10.0), 5.0, 1e-6);
  EXPECT_NEAR(optimizer.clip_gradients(1.0), 5.0, 1e-6);
  EXPECT_TRUE(near(parameters[1].second.grad(), torch::tensor({0.6F, 0.0F, 0.0F, 0.8F}), 1e-5));
}

TEST(Optimizer, RatesScaleTheLearningRateByTheLongestBeginning) {
  for (const at::ScalarType type : {at::kFloat, at::kDouble}) {  // loops and operators over lists
    const NamedTensors scaled = make_parameters(type), plain = make_parameters(type);
    OptimizerConfig config;
    config.name = "sgd";
    config.rates = {{"s", 0.5}, {"scale", 10.0}, {"bias", 0.0}};
    Optimizer by_rate(config, scaled);
    config.rates.clear();
    Optimizer by_one(config, plain);
    set_gradients(scaled);
    set_gradients(plain);
    by_rate.step(1.0);
    by_one.step(1.0);
    const NamedTensors start = make_parameters(type);
    const std::vector<double> factors = {1.0, 0.0, 10.0};
    for (std::size_t i = 0; i < start.size(); ++i) {
      const at::Tensor step = (plain[i].second - start[i].second).detach();
      EXPECT_TRUE(near((scaled[i].second - start[i].second).detach(), factors[i] * step, 1e-6))
          << start[i].first;
    }
  }
}

TEST(Optimizer, RefusesARateForParametersThatAreNotThere) {
  OptimizerConfig config;
  config.rates = {{"haed_", 10.0}};
  EXPECT_EQ(error_message("schema", [&] { Optimizer(config, make_parameters(at::kFloat)); }),
            "optimizer.rates: no trainable parameter's name begins with 'haed_'");
}

}  // namespace
}  // namespace triptych
