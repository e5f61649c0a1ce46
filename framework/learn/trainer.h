// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/core/distributed.h"
#include "framework/learn/experiment.h"

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace triptych {

/// What the trainer tells its observer; the app turns it into files and pictures, so that learn/
/// knows no report/.
class TrainingObserver {
 public:
  virtual ~TrainingObserver() = default;
  /// `values` by tag. Phase "train", every trainer.log_every steps: "loss/train",
  /// "loss/<task>/<term>", "lr/base", "grad/norm", "weight/<task>",
  /// "mixing/<stage>/<task>_from_<task>", "time/step_ms",
  /// "time/wait_fraction"; losses and times are means since the last row. Phase "validation":
  /// "loss/val", "<task>/loss/val", "<task>/<metric>" and "monitor", the value that selects the
  /// best checkpoint. Undefined metrics are NaN.
  virtual void on_metrics(std::int64_t step,
                          const std::string& phase,
                          const std::vector<std::pair<std::string, double>>& values) = 0;
  /// One predicted validation item (a batch of size 1), activated, on the CPU; at most
  /// trainer.overlays of them for a task.
  virtual void on_predictions(std::int64_t step,
                              const ExperimentTask& task,
                              const Batch& batch,
                              const at::Tensor& activated) = 0;
  virtual void on_checkpoint(std::int64_t step, const std::filesystem::path& folder, bool best) = 0;
};

struct TrainingOutcome {
  std::int64_t first_step = 0;  ///< where a resumed run went on
  std::int64_t step = 0;
  int stop_signal = 0;  ///< 0 = ran to its end
  bool early_stopped = false;
  std::string best_name;  ///< of the monitored value, as ModelSelection::name()
  double best_value = 0.0;
  std::int64_t best_step =
      -1;  ///< -1 = no validation gave a value; then there is no best checkpoint
  double wait_fraction = 0.0;  ///< of the time of all steps, spent waiting for the loader
  double seconds = 0.0;
};

/// The training loop.
///
/// One optimiser step: for every group of tasks (tasks with equal dataset, sampling, transforms and
/// batch size share a batch and one forward pass) draw the batch of (seed, step), forward, task
/// losses, weighting, backward; accumulate; clip; update with the schedule's factor. Torch's
/// generator is seeded from (seed, step) at the start of every step, so a resumed run goes on bit
/// for bit. A loss or gradient that is NaN or infinite stops the run with numeric_error naming
/// task, term, step and the batch's ids before the weights are touched; checkpoints stay as they
/// were. SIGINT, SIGTERM and SIGUSR1 finish the step, save and return; a validation they interrupt
/// is made up for on resuming.
///
/// With several ranks every rank trains on its slice of each batch and validates on everything;
/// gradients and buffers (batch norm) are averaged over the ranks after each step, so that all hold
/// the same weights, and a stop asked of one stops all. Rank 0 alone tells the observer and writes.
class Trainer {
 public:
  /// `folder` is the run directory; checkpoints go to folder/checkpoints/{last,best}. `observer`
  /// may be null. Throws ConfigError when a task's batch size is no multiple of the number of
  /// ranks.
  Trainer(Experiment& experiment,
          std::filesystem::path folder,
          TrainingObserver* observer,
          DistributedContext& context = single_process());
  ~Trainer();
  Trainer(const Trainer&) = delete;
  Trainer& operator=(const Trainer&) = delete;

  /// Continues from folder/checkpoints/last; returns the step it stands at. Throws io_error when
  /// there is no checkpoint.
  std::int64_t resume();
  TrainingOutcome run();
  /// Validation of all tasks now: "loss/val", "<task>/loss/val" and "<task>/<metric>".
  std::vector<std::pair<std::string, double>> validate();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace triptych
