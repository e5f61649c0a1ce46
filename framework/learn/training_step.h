// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/core/distributed.h"
#include "framework/learn/adversary_training.h"
#include "framework/learn/task_outputs.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace triptych {

/// A batch of every group, for the network.
using GroupBatches = std::vector<std::pair<const TaskGroup*, Batch>>;

/// Trainable parameters by name: the model's as they are, the weighting's under "weighting.".
NamedTensors trainable_parameters(Experiment& experiment);

/// Turns the batches of one optimiser step into gradients of the optimiser's parameters.
///
/// A weighting that combines losses gets one backward pass over the combined scalar. One that needs
/// the Jacobian gets every task's gradient on the shared parameters (all but those of heads),
/// averaged over the accumulated batches, and its result becomes the shared gradient; heads get the
/// plain gradient of the losses that reach them. With several ranks the gradients are averaged over
/// them, rows of the Jacobian before the weighting sees them and over those ranks that had the
/// task.
class GradientStep {
 public:
  GradientStep(Experiment& experiment,
               const NamedTensors& parameters,
               std::int64_t accumulate,
               DistributedContext& context = single_process());

  /// Adds the gradients of one batch of every group, and those of the adversaries; `step` is for
  /// messages. Returns the weighted loss, the mean over the ranks. A loss that is not finite on one
  /// rank throws on all of them.
  double add(const GroupBatches& batches, std::int64_t step);
  /// After the last batch of the step: hands Jacobian gradients over and averages over the ranks.
  void finish();
  /// After the optimiser's step: shows the losses that `batches`, the last that were added, now
  /// have to a weighting that looks_back().
  void look_back(const GroupBatches& batches);
  AdversaryTraining& adversaries() { return adversaries_; }
  const AdversaryTraining& adversaries() const { return adversaries_; }

  /// Means since the last call of "loss/<task>/<term>", beyond one term of "loss/<task>/total", of
  /// "loss/sharing" and, from steps that are multiples of trainer.insight_every, of
  /// gradient_insight().
  std::vector<std::pair<std::string, double>> take_term_means();

 private:
  /// What the batches lose, the adversaries' terms included.
  std::vector<TaskLoss> losses_of(const std::vector<TaskOutput>& outputs) const;
  std::vector<TaskOutput> outputs_of(const GroupBatches& batches);
  /// Replaces the values of losses [T] by their means over the ranks that have the task, and leaves
  /// the gradients alone; `present` becomes what any rank has.
  void share_values(at::Tensor& losses, at::Tensor& present);
  at::Tensor weighted(const std::vector<TaskLoss>& losses);
  double checked_value(const at::Tensor& total,
                       const std::vector<TaskLoss>& losses,
                       std::int64_t step);
  std::vector<std::size_t> network_parameters() const;
  void allocate_jacobian();
  void add_jacobian_rows(const std::vector<TaskLoss>& losses);
  void hand_over_jacobian();
  at::Tensor stacked(const std::vector<TaskLoss>& losses) const;
  at::Tensor presence(const std::vector<TaskLoss>& losses);
  void note_insight(const std::vector<TaskLoss>& losses, std::int64_t step);
  void note_terms(const std::vector<TaskLoss>& losses);
  void note(const std::string& tag, const at::Tensor& value);

  Experiment& experiment_;
  DistributedContext& context_;
  AdversaryTraining adversaries_;
  NamedTensors parameters_;
  std::vector<bool> shared_;           ///< by parameter: outside heads and weighting
  std::vector<std::int64_t> offsets_;  ///< of shared parameters in a row of jacobian_
  double scale_;                       ///< 1 / accumulate
  at::Tensor all_present_;
  at::Tensor jacobian_;     ///< [T, P], while a step is being accumulated
  at::Tensor loss_sums_;    ///< [T], of the batches in jacobian_
  at::Tensor loss_counts_;  ///< [T], batches with the task
  std::map<std::string, std::pair<at::Tensor, std::int64_t>> term_sums_;
};

}  // namespace triptych
