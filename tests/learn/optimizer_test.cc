// SPDX-License-Identifier: Apache-2.0
#include "framework/learn/optimizer.h"

#include "tests/support/tensor_matchers.h"

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

/// Twenty steps of ours and of LibTorch's `Reference` from equal starts.
template <class Reference, class Options>
void expect_equal_paths(const OptimizerConfig& config,
                        const Options& options,
                        at::ScalarType type) {
  const NamedTensors ours = make_parameters(type);
  const NamedTensors theirs = make_parameters(type);
  Optimizer optimizer(config, ours);
  Reference reference(tensors_of(theirs), options);
  for (int step = 0; step < 20; ++step) {
    optimizer.zero_grad();
    reference.zero_grad();
    set_gradients(ours);
    set_gradients(theirs);
    optimizer.step(1.0);
    reference.step();
  }
  for (std::size_t i = 0; i < ours.size(); ++i) {
    EXPECT_TRUE(near(ours[i].second.detach(), theirs[i].second.detach(), 1e-6, 3e-7))
        << ours[i].first;
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
