// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/learn/task_groups.h"

#include <string>
#include <vector>

namespace triptych {

/// What one task predicted, for the items of a batch that have all roles it requires.
struct TaskOutput {
  std::size_t task = 0;   ///< index into Experiment::tasks()
  Prediction prediction;  ///< float32
  Batch batch;            ///< those items
};

/// Losses of one task for one batch.
struct TaskLoss {
  std::size_t task = 0;          ///< index into Experiment::tasks()
  std::vector<LossTerm> terms;   ///< scalars, float32
  at::Tensor total;              ///< their sum
  std::vector<std::string> ids;  ///< items that it is the loss of
};

/// The batch as the network takes it: on the experiment's device, grids grown to multiples of the
/// network's stride.
Batch prepared(const Batch& batch, Experiment& experiment, const TaskGroup& group);

/// Predictions of a group's tasks on a prepared batch; a task that no item can serve is left out.
/// One forward pass serves all items from which the same heads can predict: usually all of them, as
/// a missing target does not keep an item from the network.
std::vector<TaskOutput> group_outputs(Experiment& experiment,
                                      const TaskGroup& group,
                                      const Batch& batch);

/// Losses of the outputs, in float32 whatever the precision of the network; a task that gives no
/// term is left out.
std::vector<TaskLoss> task_losses(const Experiment& experiment,
                                  const std::vector<TaskOutput>& outputs);

/// "NaN", "infinite" or "minus infinity".
std::string not_finite_text(double value);
/// Throws numeric_error naming the first term that is NaN or infinite, its task, the step and the
/// items.
void throw_if_not_finite(const std::vector<TaskLoss>& losses,
                         const Experiment& experiment,
                         std::int64_t step);

}  // namespace triptych
