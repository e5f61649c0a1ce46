// SPDX-License-Identifier: Apache-2.0
#include "framework/core/distributed.h"

#include "framework/core/nn.h"
#include "framework/learn/trainer.h"

#include "tests/learn/synthetic_experiment.h"
#include "tests/support/tensor_matchers.h"

#include <array>
#include <barrier>
#include <exception>
#include <memory>
#include <thread>

#include <gtest/gtest.h>

namespace triptych {
namespace {

using testing::error_message;
using testing::near;
using testing::one_task;
using testing::RunFolder;
using testing::two_tasks;
using testing::with;

constexpr std::int64_t kRanks = 2;

/// Where the ranks of one process meet.
struct Meeting {
  std::barrier<> barrier{kRanks};
  std::array<std::vector<at::Tensor>, kRanks> tensors;
  std::array<bool, kRanks> flags{};
};

/// A rank that is a thread.
class ThreadContext final : public DistributedContext {
 public:
  ThreadContext(Meeting& meeting, std::size_t rank) : meeting_(meeting), rank_(rank) {}
  std::int64_t rank() const override { return static_cast<std::int64_t>(rank_); }
  std::int64_t ranks() const override { return kRanks; }
  void average(std::vector<at::Tensor>& tensors) override {
    const torch::NoGradGuard no_grad;
    meeting_.tensors[rank_] = tensors;
    meeting_.barrier.arrive_and_wait();
    std::vector<at::Tensor> means;
    for (std::size_t i = 0; i < tensors.size(); ++i)
      means.push_back((meeting_.tensors[0].at(i) + meeting_.tensors[1].at(i)) / kRanks);
    meeting_.barrier.arrive_and_wait();
    for (std::size_t i = 0; i < tensors.size(); ++i) tensors[i].copy_(means[i]);
  }
  bool any(bool value) override {
    meeting_.flags[rank_] = value;
    meeting_.barrier.arrive_and_wait();
    const bool result = meeting_.flags[0] || meeting_.flags[1];
    meeting_.barrier.arrive_and_wait();
    return result;
  }

 private:
  Meeting& meeting_;
  std::size_t rank_;
};

/// Two ranks that train one experiment, each in a thread with a model of its own.
struct TwoRanks {
  explicit TwoRanks(const config::Node& node) {
    for (auto& experiment : experiments) experiment = std::make_unique<Experiment>(node, true);
  }
  void train(bool resume = false) {
    Meeting meeting;
    std::vector<std::thread> threads;
    for (std::size_t rank = 0; rank < kRanks; ++rank) {
      threads.emplace_back([&, rank] {
        try {
          ThreadContext context(meeting, rank);
          Trainer trainer(*experiments[rank], run.path(), nullptr, context);
          if (resume) trainer.resume();
          steps[rank] = trainer.run().step;
        } catch (...) {
          faults[rank] = std::current_exception();
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  /// Largest difference of a tensor between the ranks' models.
  double disagreement() {
    double largest = 0.0;
    const NamedTensors first = module_tensors(experiments[0]->model(), ""),
                       second = module_tensors(experiments[1]->model(), "");
    for (std::size_t i = 0; i < first.size(); ++i) {
      largest = std::max(largest, (first[i].second - second[i].second).abs().max().item<double>());
    }
    return largest;
  }
  RunFolder run;
  std::array<std::unique_ptr<Experiment>, kRanks> experiments;
  std::array<std::int64_t, kRanks> steps{};
  std::array<std::exception_ptr, kRanks> faults{};
};

TEST(Distributed, GradientsThatARankLacksCountAsZeroUnlessAllLackThem) {
  Meeting meeting;
  std::array<NamedTensors, kRanks> parameters;
  std::vector<std::thread> threads;
  for (std::size_t rank = 0; rank < kRanks; ++rank) {
    for (const char* name : {"both", "one", "none"})
      parameters[rank].emplace_back(name, torch::zeros({2}));
    parameters[rank][0].second.mutable_grad() = torch::full({2}, rank == 0 ? 1.0 : 3.0);
    if (rank == 1) parameters[rank][1].second.mutable_grad() = torch::full({2}, 8.0);
    threads.emplace_back([&, rank] {
      ThreadContext context(meeting, rank);
      average_gradients(context, parameters[rank]);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const NamedTensors& own : parameters) {
    EXPECT_TRUE(at::equal(own[0].second.grad(), torch::full({2}, 2.0)));
    EXPECT_TRUE(at::equal(own[1].second.grad(), torch::full({2}, 4.0)));
    EXPECT_FALSE(own[2].second.grad().defined());
  }
}

/// Without what looks at the whole batch or draws by rank.
config::Node itemwise(config::Node node) {
  for (const char* task : {"halves", "noise"}) {
    if (node.find(std::string("tasks.") + task) == nullptr) continue;
    node = with(node, std::string("tasks.") + task + ".head.dropout", "0.0");
    node = with(node, std::string("tasks.") + task + ".batch_size", "4");
  }
  return with(with(node, "backbone.normalise", "false"), "optimizer.name", "sgd");
}

TEST(Distributed, TwoRanksTrainAsOneWithTheWholeBatch) {
  for (const char* jacobian : {"false", "true"}) {
    const config::Node node = with(itemwise(two_tasks()), "weighting.jacobian", jacobian);
    const RunFolder alone;
    Experiment experiment(node, true);
    Trainer(experiment, alone.path(), nullptr).run();
    TwoRanks both(node);
    both.train();
    EXPECT_EQ(both.steps, (std::array<std::int64_t, kRanks>{8, 8}));
    EXPECT_EQ(both.disagreement(), 0.0);
    const NamedTensors one = module_tensors(experiment.model(), ""),
                       two = module_tensors(both.experiments[0]->model(), "");
    for (std::size_t i = 0; i < one.size(); ++i)
      EXPECT_TRUE(near(two[i].second, one[i].second, 1e-5)) << one[i].first;
  }
}

TEST(Distributed, RanksAgreeWhereATaskIsMissingOnOne) {
  for (const char* weighting : {"{name: test_sum}",
                                "{name: test_sum, jacobian: true}",
                                "{name: test_sum, trainable: true}",
                                "{name: test_sum, reads_values: true}"}) {
    config::Node node =
        with(with(two_tasks(), "datasets.blocks.without_clean", "1"), "weighting", weighting);
    for (const char* task : {"halves", "noise"})
      node = with(node, std::string("tasks.") + task + ".batch_size", "2");
    TwoRanks both(node);
    both.train();
    EXPECT_EQ(both.steps, (std::array<std::int64_t, kRanks>{8, 8})) << weighting;
    EXPECT_EQ(both.disagreement(), 0.0) << weighting;
    EXPECT_EQ(both.experiments[0]->weighting().current_weights(),
              both.experiments[1]->weighting().current_weights())
        << weighting;
  }
}

TEST(Distributed, BothRanksStopWhenOneFails) {
  TwoRanks both(with(itemwise(one_task()), "datasets.blocks.nan_sample", "1"));
  both.train();
  for (const std::exception_ptr& fault : both.faults) {
    ASSERT_TRUE(fault);
    const std::string message = error_message("numeric", [&] { std::rethrow_exception(fault); });
    EXPECT_TRUE(message.find("is NaN at step") != std::string::npos ||
                message.find("not finite on another rank") != std::string::npos);
  }
}

TEST(Distributed, ResumesFromTheCheckpointOfTheFirstRank) {
  const config::Node node = itemwise(one_task());
  TwoRanks whole(node);
  whole.train();
  TwoRanks halved(with(node, "trainer.max_steps", "4"));
  halved.train();
  for (auto& experiment : halved.experiments) experiment = std::make_unique<Experiment>(node, true);
  halved.train(true);
  EXPECT_EQ(weights_checksum(whole.run / "checkpoints/last"),
            weights_checksum(halved.run / "checkpoints/last"));
}

TEST(Distributed, ABatchThatCannotBeSharedIsRefused) {
  TwoRanks both(one_task());
  both.train();
  EXPECT_EQ(error_message("schema", [&] { std::rethrow_exception(both.faults[1]); }),
            "tasks.halves.batch_size: expected a multiple of the 2 ranks, got 3");
}

}  // namespace
}  // namespace triptych
