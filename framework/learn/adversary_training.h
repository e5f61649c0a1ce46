// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/core/distributed.h"
#include "framework/learn/task_outputs.h"

#include <string>
#include <utility>
#include <vector>

namespace triptych {

/// Trains the adversaries of an experiment beside its model, each with its own optimiser.
class AdversaryTraining {
 public:
  AdversaryTraining(Experiment& experiment, std::int64_t accumulate, DistributedContext& context);

  /// Appends the term "adversary" to the losses of the tasks that have one and adds it to their
  /// totals.
  void add_generator_terms(const std::vector<TaskOutput>& outputs,
                           std::vector<TaskLoss>& losses) const;
  /// Adds the gradients of the adversaries' own losses, and returns these losses as
  /// "loss/<task>/adversary_own". Throws numeric_error naming the task when one is not finite, on
  /// every rank.
  std::vector<std::pair<std::string, at::Tensor>> add_gradients(
      const std::vector<TaskOutput>& outputs, std::int64_t step);
  /// After the last batch of the step: averages the gradients over the ranks. Throws numeric_error
  /// naming the task when a gradient is not finite.
  void finish(std::int64_t step);
  /// Updates every adversary; one whose task was absent keeps its weights.
  void update(double factor);

  /// Weights "adversary_<task>" and moments "adversary_<task>_optimizer", for checkpoints.
  std::vector<std::pair<std::string, NamedTensors>> state() const;
  /// From a checkpoint folder.
  void load(const std::filesystem::path& folder);

 private:
  struct Opponent {
    std::size_t task;  ///< index into Experiment::tasks()
    std::string name;
    Optimizer optimizer;
  };
  Adversary& adversary_of(const Opponent& opponent) const;

  Experiment& experiment_;
  DistributedContext& context_;
  double scale_;  ///< 1 / accumulate
  std::vector<Opponent> opponents_;
};

}  // namespace triptych
