// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/learn/task_groups.h"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace triptych {

/// A number of a validation: a metric "<task>/<metric>", or a loss "loss/val", "<task>/loss/val".
struct ValidationValue {
  std::string name;
  double value = 0.0;  ///< NaN where a metric is undefined
  Direction direction = Direction::kHigherIsBetter;
};

/// Receives one predicted item: a batch of size 1 on the CPU and the activated prediction.
using PredictionSink =
    std::function<void(const ExperimentTask&, const Batch&, const at::Tensor& activated)>;

/// Metrics and losses of every task over its validation items, with the network in evaluation mode.
///
/// "loss/val" is the sum of the tasks' validation losses times their fixed weights, whatever the
/// weighting: a plateau of it must not come from a moving weight.
class Validation {
 public:
  explicit Validation(Experiment& experiment);

  /// True when no task has a validation item.
  bool empty() const { return groups_.empty(); }
  /// Nothing when a stop was requested on the way. `step` is for messages; `sink`, when not empty,
  /// gets up to trainer.overlays items of every task, evenly spread. Leaves the network in the mode
  /// it was in.
  std::optional<std::vector<ValidationValue>> run(std::int64_t step, const PredictionSink& sink);

 private:
  struct TaskSums;
  bool run_group(const TaskGroup& group, std::int64_t step, std::vector<TaskSums>& sums);
  void show_items(const TaskGroup& group, const PredictionSink& sink);
  std::vector<ValidationValue> values_of(const std::vector<TaskSums>& sums) const;

  Experiment& experiment_;
  std::vector<TaskGroup> groups_;
};

}  // namespace triptych
