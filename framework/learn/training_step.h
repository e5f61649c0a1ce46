// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "framework/learn/task_groups.h"

namespace triptych {

/// What one task predicted, for the items of a batch that have all roles it requires.
struct TaskOutput {
  std::size_t task = 0;  ///< index into Experiment::tasks()
  Prediction prediction;  ///< float32
  Batch batch;            ///< those items
};

/// Losses of one task for one batch.
struct TaskLoss {
  std::size_t task = 0;         ///< index into Experiment::tasks()
  std::vector<LossTerm> terms;  ///< scalars, float32
  at::Tensor total;             ///< their sum
  std::vector<std::string> ids;  ///< items that it is the loss of
};

/// The batch as the network takes it: on the experiment's device, grids grown to multiples of the network's stride.
Batch prepared(const Batch& batch, Experiment& experiment);

/// Predictions of a group's tasks on a prepared batch; a task that no item can serve is left out. One forward pass serves all
/// items from which the same heads can predict: usually all of them, as a missing target does not keep an item from the network.
std::vector<TaskOutput> group_outputs(Experiment& experiment, const TaskGroup& group, const Batch& batch);

/// Losses of the outputs, in float32 whatever the precision of the network; a task that gives no term is left out.
std::vector<TaskLoss> task_losses(const Experiment& experiment, const std::vector<TaskOutput>& outputs);

/// Throws numeric_error naming the first term that is NaN or infinite, its task, the step and the items.
void throw_if_not_finite(const std::vector<TaskLoss>& losses, const Experiment& experiment, std::int64_t step);

/// Trainable parameters by name: the model's as they are, the weighting's under "weighting.".
NamedTensors trainable_parameters(Experiment& experiment);

/// Turns the batches of one optimiser step into gradients of the optimiser's parameters.
///
/// A weighting that combines losses gets one backward pass over the combined scalar. One that needs the Jacobian gets every
/// task's gradient on the shared parameters (all but those of heads), averaged over the accumulated batches, and its result
/// becomes the shared gradient; heads get the plain gradient of the losses that reach them.
class GradientStep {
 public:
  GradientStep(Experiment& experiment, const NamedTensors& parameters, std::int64_t accumulate);

  /// Adds the gradients of one batch of every group; `step` is for messages. Returns the weighted loss.
  double add(const std::vector<std::pair<const TaskGroup*, Batch>>& batches, std::int64_t step);
  /// After the last batch of the step: hands Jacobian gradients over.
  void finish();

  /// Means of "loss/<task>/<term>" and, beyond one term, "loss/<task>/total" since the last call.
  std::vector<std::pair<std::string, double>> take_term_means();

 private:
  void add_jacobian_rows(const std::vector<TaskLoss>& losses);
  at::Tensor stacked(const std::vector<TaskLoss>& losses) const;
  at::Tensor presence(const std::vector<TaskLoss>& losses);
  void note_terms(const std::vector<TaskLoss>& losses);

  Experiment& experiment_;
  NamedTensors parameters_;
  std::vector<bool> shared_;  ///< by parameter: outside heads and weighting
  double scale_;              ///< 1 / accumulate
  at::Tensor all_present_;
  at::Tensor jacobian_;  ///< [T, P], while a step is being accumulated
  std::vector<bool> jacobian_present_;
  std::map<std::string, std::pair<at::Tensor, std::int64_t>> term_sums_;
};

}  // namespace triptych
