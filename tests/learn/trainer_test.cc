// SPDX-License-Identifier: Apache-2.0
#include "framework/learn/trainer.h"

#include "framework/core/file.h"
#include "framework/core/stop.h"
#include "framework/learn/checkpoint.h"

#include "tests/learn/synthetic_experiment.h"
#include "tests/support/tensor_matchers.h"

#include <cmath>
#include <csignal>
#include <functional>

#include <gtest/gtest.h>

namespace triptych {
namespace {

using testing::error_message;
using testing::one_task;
using testing::RunFolder;
using testing::two_tasks;
using testing::with;

struct Row {
  std::int64_t step;
  std::string phase;
  std::map<std::string, double> values;
};

/// Keeps what it is told; `at_row` may act on it.
class Recorder final : public TrainingObserver {
 public:
  void on_metrics(std::int64_t step,
                  const std::string& phase,
                  const std::vector<std::pair<std::string, double>>& values) override {
    rows.push_back({step, phase, {values.begin(), values.end()}});
    if (at_row) at_row(rows.back());
  }
  void on_predictions(std::int64_t,
                      const ExperimentTask& task,
                      const Batch& batch,
                      const at::Tensor& activated) override {
    pictures.push_back(task.key);
    picture_shapes.push_back(activated.sizes().vec());
    EXPECT_EQ(batch.size(), 1);
    EXPECT_FALSE(activated.is_cuda());
  }
  void on_checkpoint(std::int64_t step, const std::filesystem::path& folder, bool best) override {
    (best ? best_steps : last_steps).push_back(step);
    EXPECT_TRUE(std::filesystem::exists(folder / "state.yaml"));
  }
  std::vector<Row> of(const std::string& phase) const {
    std::vector<Row> chosen;
    for (const Row& row : rows) {
      if (row.phase == phase) chosen.push_back(row);
    }
    return chosen;
  }

  std::vector<Row> rows;
  std::vector<std::string> pictures;
  std::vector<std::vector<std::int64_t>> picture_shapes;
  std::vector<std::int64_t> best_steps, last_steps;
  std::function<void(const Row&)> at_row;
};

TrainingOutcome train(const config::Node& node,
                      const RunFolder& run,
                      bool resume = false,
                      Recorder* recorder = nullptr) {
  Experiment::check(node);
  Experiment experiment(node, true);
  Trainer trainer(experiment, run.path(), recorder);
  if (resume) trainer.resume();
  return trainer.run();
}

std::string checksum(const RunFolder& run) { return weights_checksum(run / "checkpoints/last"); }

std::string state_bytes(const RunFolder& run) {
  return read_file(run / "checkpoints/last/state.yaml") +
         read_file(run / "checkpoints/last/optimizer.safetensors") +
         read_file(run / "checkpoints/last/weighting.safetensors");
}

TEST(Trainer, LearnsAndKeepsTheBest) {
  const RunFolder run;
  Recorder recorder;
  const config::Node node =
      with(one_task(),
           "trainer",
           "{max_steps: 60, validate_every: 20, checkpoint_every: 30, log_every: 10}");
  const TrainingOutcome outcome = train(node, run, false, &recorder);
  EXPECT_EQ(outcome.step, 60);
  EXPECT_EQ(outcome.stop_signal, 0);
  EXPECT_GT(outcome.best_value, 0.9);
  EXPECT_GE(outcome.wait_fraction, 0.0);
  EXPECT_LE(outcome.wait_fraction, 1.0);
  const auto rows = recorder.of("train");
  ASSERT_EQ(rows.size(), 6U);
  EXPECT_LT(rows.back().values.at("loss/train"), 0.5 * rows.front().values.at("loss/train"));
  for (const char* tag : {"loss/halves/entropy",
                          "lr/base",
                          "grad/norm",
                          "weight/halves",
                          "time/step_ms",
                          "time/wait_fraction"}) {
    EXPECT_TRUE(rows[0].values.contains(tag)) << tag;
  }
  const auto validations = recorder.of("validation");
  ASSERT_EQ(validations.size(), 3U);
  EXPECT_EQ(validations[0].step, 20);
  EXPECT_EQ(validations[0].values.at("monitor"), validations[0].values.at("halves/accuracy"));
  EXPECT_EQ(validations[0].values.at("loss/val"), validations[0].values.at("halves/loss/val"));
  EXPECT_EQ(recorder.last_steps, (std::vector<std::int64_t>{30, 60}));
  EXPECT_EQ(recorder.best_steps.back(), outcome.best_step);
  EXPECT_EQ(recorder.pictures.size(), 6U);
  EXPECT_EQ(recorder.picture_shapes[0], (std::vector<std::int64_t>{1, 2, 1, 8, 8}));
  EXPECT_EQ(read_train_state(run / "checkpoints/best").step, outcome.best_step);
}

TEST(Trainer, GivesEqualBitsWithAnyNumberOfLoaderThreadsAndWhenResumed) {
  const config::Node node = two_tasks();
  const RunFolder whole;
  train(node, whole);
  for (const char* threads : {"0", "1", "4"}) {
    const RunFolder run;
    const config::Node threaded = with(node, "trainer.loader.threads", threads);
    train(with(threaded, "trainer.max_steps", "4"), run);
    const TrainingOutcome outcome = train(threaded, run, true);
    EXPECT_EQ(outcome.step, 8);
    EXPECT_EQ(checksum(run), checksum(whole)) << threads << " threads";
    EXPECT_EQ(state_bytes(run), state_bytes(whole)) << threads << " threads";
  }
}

TEST(Trainer, GoesOnFromTheLastCheckpointAfterAKill) {
  const RunFolder whole, killed;
  const config::Node node =
      with(with(one_task(), "trainer.max_steps", "9"), "trainer.checkpoint_every", "3");
  train(node, whole);
  Recorder recorder;
  recorder.at_row = [](const Row& row) {
    if (row.step == 8 && row.phase == "train") throw std::runtime_error("as if killed");
  };
  EXPECT_THROW(train(node, killed, false, &recorder), std::runtime_error);
  EXPECT_EQ(read_train_state(killed / "checkpoints/last").step, 6);
  std::filesystem::rename(killed / "checkpoints/last", killed / "checkpoints/.77.last.previous");
  train(node, killed, true);
  EXPECT_EQ(checksum(killed), checksum(whole));
  EXPECT_EQ(state_bytes(killed), state_bytes(whole));
}

TEST(Trainer, SavesAndReturnsOnASignalAndValidatesWhenResumed) {
  install_stop_signals();
  const RunFolder whole, stopped;
  Recorder all, first, second;
  train(one_task(), whole, false, &all);
  // The row of step 4 comes right before the validation of step 4, which the signal puts off.
  first.at_row = [](const Row& row) {
    if (row.step == 4 && row.phase == "train") std::raise(SIGTERM);
  };
  const TrainingOutcome outcome = train(one_task(), stopped, false, &first);
  EXPECT_EQ(outcome.stop_signal, SIGTERM);
  EXPECT_EQ(outcome.step, 4);
  EXPECT_EQ(first.of("validation").size(), 1U);
  EXPECT_EQ(read_train_state(stopped / "checkpoints/last").step, 4);
  clear_stop_request();
  train(one_task(), stopped, true, &second);
  EXPECT_EQ(checksum(stopped), checksum(whole));
  EXPECT_EQ(state_bytes(stopped), state_bytes(whole));
  const auto expected = all.of("validation"), made_up = second.of("validation");
  ASSERT_EQ(made_up.size(), 3U);
  for (std::size_t i = 0; i < made_up.size(); ++i) {
    EXPECT_EQ(made_up[i].step, expected[i + 1].step);
    EXPECT_EQ(made_up[i].values, expected[i + 1].values);
  }
}

TEST(Trainer, ASignalBeforeTheLastValidationIsAStop) {
  install_stop_signals();
  const RunFolder run;
  Recorder first, second;
  first.at_row = [](const Row& row) {
    if (row.step == 8 && row.phase == "train") std::raise(SIGTERM);
  };
  const TrainingOutcome outcome = train(one_task(), run, false, &first);
  clear_stop_request();
  EXPECT_EQ(outcome.step, 8);
  EXPECT_EQ(outcome.stop_signal, SIGTERM);
  EXPECT_EQ(train(one_task(), run, true, &second).stop_signal, 0);
  ASSERT_EQ(second.of("validation").size(), 1U);
  EXPECT_EQ(second.of("validation")[0].step, 8);
}

TEST(Trainer, StopsAtANaNAndNamesItWithoutTouchingTheCheckpoint) {
  const RunFolder run;
  train(with(one_task(), "trainer.max_steps", "2"), run);
  const std::string weights = checksum(run), state = state_bytes(run);
  // The next checkpoint would be due after every item has been drawn.
  const config::Node poisoned =
      with(with(one_task(), "datasets.blocks.nan_sample", "1"), "trainer.checkpoint_every", "100");
  const std::string message = error_message("numeric", [&] { train(poisoned, run, true); });
  EXPECT_NE(message.find("task 'halves': loss term 'entropy' is NaN at step "), std::string::npos)
      << message;
  EXPECT_NE(message.find("blocks_1"), std::string::npos) << message;
  EXPECT_EQ(checksum(run), weights);
  EXPECT_EQ(state_bytes(run), state);
}

TEST(Trainer, RefusesACheckpointOfAnotherModelAndAMissingOne) {
  const RunFolder run, empty;
  train(with(one_task(), "trainer.max_steps", "1"), run);
  const config::Node wider = with(one_task(), "tasks.halves.head.channels", "3");
  const std::string message = error_message("model", [&] { train(wider, run, true); });
  EXPECT_NE(message.find("head_halves.linear.weight [2, 4, 1, 1, 1] instead of [3, 4, 1, 1, 1]"),
            std::string::npos)
      << message;
  error_message("io", [&] { train(one_task(), empty, true); });
}

TEST(Trainer, StopsEarlyWhenPatienceRunsOut) {
  const RunFolder run;
  config::Node node = with(one_task(), "trainer.max_steps", "100");
  node = with(with(node, "trainer.patience", "6"),
              "trainer.min_delta",
              "10.0");  // nothing is ever better than the first
  const TrainingOutcome outcome = train(node, run);
  EXPECT_TRUE(outcome.early_stopped);
  EXPECT_EQ(outcome.best_step, 2);
  EXPECT_EQ(outcome.step, 8);
  EXPECT_EQ(train(node, run, true).step, 8);  // and stays stopped
}

TEST(Trainer, MonitorsTheMeanRelativeChangeOfSeveralTasks) {
  const RunFolder run;
  Recorder recorder;
  train(two_tasks(), run, false, &recorder);
  const auto rows = recorder.of("validation");
  EXPECT_EQ(rows[0].values.at("monitor"), 0.0);
  const auto& first = rows[0].values;
  const auto& later = rows[2].values;
  const double accuracy =
      (later.at("halves/accuracy") - first.at("halves/accuracy")) / first.at("halves/accuracy");
  const double error = (first.at("noise/mae") - later.at("noise/mae")) / first.at("noise/mae");
  EXPECT_NEAR(later.at("monitor"), 0.5 * (accuracy + error), 1e-12);
  EXPECT_NEAR(
      later.at("loss/val"), later.at("halves/loss/val") + later.at("noise/loss/val"), 1e-12);
}

TEST(Trainer, RefusesAMonitorThatTheTaskDoesNotHave) {
  const RunFolder run;
  const config::Node node = with(one_task(), "trainer.monitor", "halves/acuracy");
  const std::string message = error_message("schema", [&] { train(node, run); });
  EXPECT_NE(message.find("task 'halves' has no metric 'acuracy'; did you mean 'accuracy'?"),
            std::string::npos)
      << message;
}

/// Two ways to one gradient; batch norm and dropout are off where batches differ.
config::Node plain(config::Node node) {
  for (const char* task : {"halves", "noise"}) {
    if (node.find(std::string("tasks.") + task) == nullptr) continue;
    node = with(node, std::string("tasks.") + task + ".head.dropout", "0.0");
  }
  return with(with(node, "backbone.normalise", "false"), "optimizer.name", "sgd");
}

double largest_difference(const RunFolder& a, const RunFolder& b) {
  const SafeTensors x = read_model_state(a / "checkpoints/last"),
                    y = read_model_state(b / "checkpoints/last");
  double largest = 0.0;
  for (const auto& [name, tensor] : x.tensors) {
    const double difference =
        (tensor.to(at::kDouble) - y.find(name).to(at::kDouble)).abs().max().item<double>();
    largest = std::max(largest, difference);
  }
  return largest;
}

TEST(Trainer, TaskGradientsThatAreSummedEqualTheGradientOfTheSum) {
  const RunFolder combined, by_task;
  const config::Node node = plain(with(two_tasks(), "tasks.noise.batch_size", "2"));
  train(node, combined);
  train(with(node, "weighting.jacobian", "true"), by_task);
  EXPECT_LT(largest_difference(combined, by_task), 1e-5);
}

TEST(Trainer, ShowsAWeightingWhatTheStepMadeOfItsBatch) {
  config::Node node = with(plain(one_task()), "weighting.looks_back", "true");
  node = with(node, "datasets.blocks", "{name: test_blocks, train: 1, size: [1, 8, 8]}");
  node = with(node, "tasks.halves.batch_size", "1");  // the same batch in every step
  const RunFolder run;
  Recorder recorder;
  train(node, run, false, &recorder);
  const auto rows = recorder.of("train");
  ASSERT_EQ(rows.size(), 8U);
  for (std::size_t i = 0; i + 1 < rows.size(); ++i) {
    EXPECT_NEAR(rows[i].values.at("weight/halves"), rows[i + 1].values.at("loss/train"), 1e-6);
    EXPECT_LT(rows[i].values.at("weight/halves"), rows[i].values.at("loss/train"));
  }
}

TEST(Trainer, AccumulatedBatchesEqualALargeOne) {
  const RunFolder large, small;
  for (const char* jacobian : {"false", "true"}) {
    const config::Node node = with(plain(one_task()), "weighting.jacobian", jacobian);
    train(with(node, "tasks.halves.batch_size", "4"), large);
    train(with(with(node, "tasks.halves.batch_size", "2"), "trainer.accumulate", "2"), small);
    EXPECT_LT(largest_difference(large, small), 1e-5);
  }
}

TEST(Trainer, TrainsTheWeightingToo) {
  const RunFolder run;
  const config::Node node = with(two_tasks(), "weighting.trainable", "true");
  train(node, run);
  const at::Tensor scale =
      read_checkpoint_part(run / "checkpoints/last", "weighting").find("scale");
  EXPECT_GT(scale.abs().min().item<double>(), 0.0);
  EXPECT_TRUE(read_checkpoint_part(run / "checkpoints/last", "optimizer")
                  .find("weighting.scale.exp_avg")
                  .defined());
}

TEST(Trainer, TasksWithoutTheirTargetSitABatchOut) {
  const RunFolder run;
  Recorder recorder;
  Experiment experiment(with(two_tasks(), "datasets.blocks.without_clean", "1"), true);
  Trainer trainer(experiment, run.path(), &recorder);
  EXPECT_EQ(trainer.run().step, 8);
  bool alone = false;  // batches of three of the twelve slices, four of which have a target
  for (const Row& row : recorder.of("train"))
    alone = alone || !row.values.contains("loss/noise/square");
  EXPECT_TRUE(alone);
  for (const Row& row : recorder.of("train"))
    EXPECT_TRUE(std::isfinite(row.values.at("loss/train")));
  EXPECT_TRUE(recorder.of("validation")[0].values.contains("halves/accuracy"));
  EXPECT_FALSE(recorder.of("validation")[0].values.contains("noise/loss/val"));
}

TEST(Trainer, RunsInBfloat16AndWithClipping) {
  const RunFolder run;
  Recorder recorder;
  const config::Node node =
      with(with(one_task(), "trainer.precision", "bfloat16"), "trainer.clip_norm", "0.01");
  EXPECT_EQ(train(node, run, false, &recorder).step, 8);
  for (const Row& row : recorder.of("train"))
    EXPECT_TRUE(std::isfinite(row.values.at("loss/train")));
  EXPECT_EQ(
      read_model_state(run / "checkpoints/last").find("head_halves.linear.weight").scalar_type(),
      at::kFloat);
}

TEST(Trainer, PadsSlicesThatAreNoMultipleOfTheStride) {
  const RunFolder run;
  Recorder recorder;
  EXPECT_EQ(
      train(with(one_task(), "datasets.blocks.size", "[4, 7, 9]"), run, false, &recorder).step, 8);
  EXPECT_EQ(recorder.picture_shapes[0], (std::vector<std::int64_t>{1, 2, 1, 7, 9}));
}

TEST(Trainer, TrainsWithoutValidationSamples) {
  const RunFolder run;
  Recorder recorder;
  const TrainingOutcome outcome =
      train(with(one_task(), "datasets.blocks.validation", "0"), run, false, &recorder);
  EXPECT_EQ(outcome.step, 8);
  EXPECT_EQ(outcome.best_step, -1);
  EXPECT_TRUE(recorder.best_steps.empty());
  EXPECT_TRUE(recorder.of("validation").empty());
}

}  // namespace
}  // namespace triptych
