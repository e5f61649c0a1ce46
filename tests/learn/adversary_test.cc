// SPDX-License-Identifier: Apache-2.0
#include "framework/learn/adversary.h"

#include "framework/core/nn.h"
#include "framework/learn/trainer.h"
#include "framework/learn/training_step.h"

#include "tests/learn/synthetic_experiment.h"
#include "tests/support/tensor_matchers.h"

#include <gtest/gtest.h>

namespace triptych {
namespace {

using testing::error_message;
using testing::one_task;
using testing::RunFolder;
using testing::with;

/// Least squares (Mao et al., ICCV 2017) on one convolution over the residual channel.
class LeastSquaresAdversary final : public Adversary {
 public:
  struct Config {
    bool broken = false;
    void visit(auto& field) { field("broken", broken, "its own loss is NaN"); }
  };
  LeastSquaresAdversary(const Config& config, const TaskContext&)
      : config_(config), judge_(register_module("judge", torch::nn::Conv3d(1, 1, 1))) {}
  at::Tensor generator_loss(const Prediction& prediction, const Batch&) override {
    return (judge_(prediction.value) - 1.0).square().mean();
  }
  at::Tensor own_loss(const Prediction& detached, const Batch& batch) override {
    EXPECT_FALSE(detached.value.requires_grad());
    const at::Tensor loss = judge_(detached.value).square().mean() +
                            (judge_(batch.at("clean").data) - 1.0).square().mean();
    return config_.broken ? loss * std::nan("") : loss;
  }

 private:
  Config config_;
  torch::nn::Conv3d judge_;
};
TRIPTYCH_REGISTER_ADVERSARY("test_least_squares", LeastSquaresAdversary)

config::Node restoration() {
  config::Node node = with(one_task(), "tasks.halves.name", "test_restore");
  return with(node, "tasks.halves.head.channels", "1");
}

config::Node with_adversary(const std::string& adversary =
                                "{name: test_least_squares, weight: 0.5, optimizer: {lr: 0.01}}") {
  return with(restoration(), "tasks.halves.adversary", adversary);
}

/// Weights and moments of the adversary in the last checkpoint.
std::string adversary_bytes(const RunFolder& run) {
  std::string bytes;
  for (const char* part : {"adversary_halves", "adversary_halves_optimizer"}) {
    for (const auto& [name, tensor] :
         read_checkpoint_part(run / "checkpoints/last", part).tensors) {
      bytes += name;
      bytes.append(static_cast<const char*>(tensor.data_ptr()), tensor.nbytes());
    }
  }
  return bytes;
}

void train_to(std::int64_t steps, const RunFolder& run, bool resume) {
  Experiment experiment(with(with_adversary(), "trainer.max_steps", std::to_string(steps)), true);
  Trainer trainer(experiment, run.path(), nullptr);
  if (resume) trainer.resume();
  trainer.run();
}

TEST(Adversary, ResumesWithEqualBits) {
  const RunFolder whole, halved;
  train_to(6, whole, false);
  train_to(3, halved, false);
  train_to(6, halved, true);
  EXPECT_EQ(weights_checksum(whole / "checkpoints/last"),
            weights_checksum(halved / "checkpoints/last"));
  EXPECT_EQ(adversary_bytes(whole), adversary_bytes(halved));
  EXPECT_NE(adversary_bytes(whole).find("judge.weight.exp_avg"), std::string::npos);
}

/// Gradients of one step on the first slices.
struct OneStep {
  explicit OneStep(const config::Node& node)
      : experiment(node, true), gradients(experiment, trainable_parameters(experiment), 1) {
    experiment.model().eval();
    const std::vector<TaskGroup> groups = make_task_groups(experiment, Phase::kTraining);
    const Batch batch = make_batch(groups[0].source, groups[0].source.sampler->step_items(0, 3));
    gradients.add({{&groups[0], prepared(batch, experiment, groups[0])}}, 0);
    gradients.finish();
  }
  Experiment experiment;
  GradientStep gradients;
};

TEST(Adversary, ItsTermReachesTheNetworkAndItsOwnLossOnlyItself) {
  OneStep without(restoration());
  OneStep weightless(with_adversary("{name: test_least_squares, weight: 0.0}"));
  OneStep weighted(with_adversary());
  const auto gradient = [](OneStep& step) {
    return step.experiment.model().named_parameters()["head_halves.linear.weight"].grad();
  };
  EXPECT_TRUE(testing::near(gradient(weightless), gradient(without), 1e-7));
  EXPECT_FALSE(testing::near(gradient(weighted), gradient(without), 1e-3));

  const std::shared_ptr<Adversary> adversary = weightless.experiment.tasks()[0].adversary;
  const at::Tensor own = adversary->named_parameters()["judge.weight"].grad();
  ASSERT_TRUE(own.defined());
  const at::Tensor other =
      weighted.experiment.tasks()[0].adversary->named_parameters()["judge.weight"].grad();
  EXPECT_TRUE(testing::near(own, other, 1e-7))
      << "the term of the network gave the adversary a gradient";
  std::map<std::string, double> terms;
  for (const auto& [name, value] : weighted.gradients.take_term_means()) terms[name] = value;
  EXPECT_GT(terms.at("loss/halves/adversary"), 0.0);
  EXPECT_GT(terms.at("loss/halves/adversary_own"), 0.0);
}

TEST(Adversary, ALossThatIsNotFiniteStopsTheRun) {
  const RunFolder run;
  Experiment experiment(with_adversary("{name: test_least_squares, broken: true}"), true);
  Trainer trainer(experiment, run.path(), nullptr);
  const std::string message = error_message("numeric", [&] { trainer.run(); });
  EXPECT_NE(message.find("task 'halves': the adversary's own loss is not finite at step 0, items "),
            std::string::npos)
      << message;
}

TEST(Adversary, ItsKeysAreChecked) {
  const auto message_of = [](const std::string& adversary) {
    return error_message("schema", [&] { Experiment::check(with_adversary(adversary)); });
  };
  EXPECT_NE(message_of("{name: test_least_square}")
                .find("no adversary is called 'test_least_square'; did you mean"),
            std::string::npos);
  EXPECT_NE(message_of("{name: test_least_squares, brokn: true}")
                .find("unknown key 'tasks.halves.adversary.brokn'"),
            std::string::npos);
  EXPECT_NE(message_of("{name: test_least_squares, optimizer: {lr: -1}}")
                .find("'tasks.halves.adversary.optimizer.lr'"),
            std::string::npos);
  EXPECT_NE(message_of("yes please").find("'tasks.halves.adversary' expects a map"),
            std::string::npos)
      << message_of("yes please");
}

}  // namespace
}  // namespace triptych
