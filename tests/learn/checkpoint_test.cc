// SPDX-License-Identifier: Apache-2.0
#include "framework/learn/checkpoint.h"

#include "framework/core/file.h"

#include "tests/learn/synthetic_experiment.h"
#include "tests/support/tensor_matchers.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>
#include <torch/nn.h>

namespace triptych {
namespace {

namespace fs = std::filesystem;
using testing::error_message;
using testing::RunFolder;

TrainState some_state() {
  TrainState state;
  state.step = 1234567890123;
  state.validated_step = 1200;
  state.best_value = 0.1 + 0.2;  // 0.30000000000000004
  state.best_step = 800;
  state.first_metrics = {{"organs/dice/mean", 1.0 / 3.0}, {"denoise/psnr", 1e-300}};
  state.schedule = {{"best", std::numeric_limits<double>::infinity()}, {"factor", 5e-324}};
  state.classes["organs"] = numbered_classes(3);
  state.classes["organs"].classes[1].name = "yes";  // reads as a boolean unless quoted
  state.channels = {{"", 1}, {"mri", 2}};
  return state;
}

void write(const fs::path& folder, std::int64_t step, int inputs = 2) {
  torch::manual_seed(static_cast<std::uint64_t>(step));
  TrainState state = some_state();
  state.step = step;
  write_checkpoint(folder,
                   {{"model", module_tensors(*torch::nn::Linear(inputs, 3), "")},
                    {"optimizer", {{"x.step", torch::ones({1})}}}},
                   state);
}

TEST(Checkpoint, StateComesBackExactly) {
  const RunFolder run;
  const TrainState state = some_state();
  write_checkpoint(run / "last", {{"model", module_tensors(*torch::nn::Linear(2, 3), "")}}, state);
  const TrainState read = read_train_state(run / "last");
  EXPECT_EQ(read.step, state.step);
  EXPECT_EQ(read.validated_step, state.validated_step);
  EXPECT_EQ(read.best_value, state.best_value);
  EXPECT_EQ(read.best_step, state.best_step);
  EXPECT_EQ(read.first_metrics, state.first_metrics);
  EXPECT_EQ(read.schedule, state.schedule);
  EXPECT_EQ(read.channels, state.channels);
  ASSERT_EQ(read.classes.at("organs").size(), 3);
  EXPECT_EQ(read.classes.at("organs").classes[1].name, "yes");
  EXPECT_EQ(read.classes.at("organs").classes[2].color,
            state.classes.at("organs").classes[2].color);
}

TEST(Checkpoint, ModuleComesBackWithBuffers) {
  torch::nn::BatchNorm1d norm(4), other(4);
  norm->running_mean.fill_(0.25);
  norm->num_batches_tracked.fill_(7);
  load_module(*other, SafeTensors{module_tensors(*norm, "model."), {}}, "model.", "test");
  EXPECT_TRUE(at::equal(other->running_mean, norm->running_mean));
  EXPECT_EQ(other->num_batches_tracked.item<std::int64_t>(), 7);
}

TEST(Checkpoint, OfAnotherModelIsRefusedAndChangesNothing) {
  torch::nn::Linear module(2, 3);
  const at::Tensor before = module->bias.detach().clone();
  const SafeTensors saved{{{"weight", torch::zeros({5, 2})},
                           {"bias", torch::zeros({3})},
                           {"head.scale", torch::zeros({1})}},
                          {}};
  const std::string message =
      error_message("model", [&] { load_module(*module, saved, "", "run/last"); });
  EXPECT_EQ(message,
            "run/last: the weights do not fit the model: unknown head.scale; of another shape "
            "weight [5, 2] instead of [3, 2]");
  EXPECT_TRUE(at::equal(module->bias, before));
}

TEST(Checkpoint, ListsAtMostFiveOfManyFaults) {
  torch::nn::Sequential many;
  for (int i = 0; i < 4; ++i) many->push_back(torch::nn::Linear(1, 1));
  const std::string message =
      error_message("model", [&] { load_module(*many, SafeTensors{}, "", "x"); });
  EXPECT_NE(message.find("missing 0.weight, 0.bias, 1.weight, 1.bias, 2.weight and 3 more"),
            std::string::npos)
      << message;
}

TEST(Checkpoint, ReplacesThePreviousOneAndLeavesNothingBeside) {
  const RunFolder run;
  write(run / "last", 1);
  const std::string first = weights_checksum(run / "last");
  write(run / "last", 2);
  EXPECT_EQ(read_train_state(run / "last").step, 2);
  EXPECT_NE(weights_checksum(run / "last"), first);
  EXPECT_EQ(std::distance(fs::directory_iterator(run.path()), fs::directory_iterator()), 1);
}

TEST(Checkpoint, IsPutBackAfterAKillBetweenTheRenames) {
  const RunFolder run;
  write(run / "last", 5);
  fs::rename(run / "last", run / ".4321.last.previous");
  fs::create_directories(run / ".4321.last");
  write_file_atomically(run / ".4321.last/model.safetensors", "half");
  EXPECT_TRUE(recover_checkpoint(run / "last"));
  EXPECT_EQ(read_train_state(run / "last").step, 5);
  EXPECT_EQ(std::distance(fs::directory_iterator(run.path()), fs::directory_iterator()), 1);
}

TEST(Checkpoint, RecoveryKeepsACompleteFolderAndOthersFiles) {
  const RunFolder run;
  write(run / "last", 6);
  write(run / "best", 4);
  write(run / ".99.last.previous", 5);
  fs::create_directories(run / ".notes.last");
  EXPECT_TRUE(recover_checkpoint(run / "last"));
  EXPECT_EQ(read_train_state(run / "last").step, 6);
  EXPECT_TRUE(fs::exists(run / "best"));
  EXPECT_TRUE(fs::exists(run / ".notes.last"));
  EXPECT_FALSE(fs::exists(run / ".99.last.previous"));
  EXPECT_FALSE(recover_checkpoint(run / "never"));
}

TEST(Checkpoint, DamagedStateIsNamed) {
  const RunFolder run;
  write(run / "last", 1);
  write_file_atomically(run / "last/state.yaml", "format: 1\nstep: many\n");
  const std::string message = error_message("io", [&] { read_train_state(run / "last"); });
  EXPECT_NE(message.find("state.yaml: is no state of a training run"), std::string::npos)
      << message;
  fs::resize_file(run / "last/model.safetensors", 20);
  error_message("io", [&] { read_model_state(run / "last"); });
}

}  // namespace
}  // namespace triptych
