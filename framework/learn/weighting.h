// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/config/component.h"

#include <string>
#include <vector>

#include <torch/nn/module.h>

namespace triptych {

/// Task keys with their configured fixed weights.
struct WeightingTasks {
  std::vector<std::string> keys;
  std::vector<double> weights;
};

/// Turns task losses into one scalar, or per-task gradients into one. May hold trainable
/// parameters.
///
/// Tasks absent from a batch contribute nothing: `present` [T] bool says which are there; losses of
/// absent tasks are not read. Axes: T tasks, P shared parameters.
class Weighting : public torch::nn::Module {
 public:
  static constexpr const char* kKind = "weighting";
  /// losses [T], present [T] -> scalar; by default the sum of those present.
  virtual at::Tensor combine(const at::Tensor& losses, const at::Tensor& present);
  /// True when the weights depend on the values of the losses; `combine` then gets their means over
  /// the ranks.
  virtual bool reads_loss_values() const { return false; }
  /// True when `aggregate` must be called with per-task gradients instead.
  virtual bool needs_jacobian() const { return false; }
  /// jacobian [T, P], losses [T] (means of the step) -> gradient [P]; only called, once a step,
  /// when needs_jacobian(). Rows of absent tasks are zero.
  virtual at::Tensor aggregate(const at::Tensor& jacobian,
                               const at::Tensor& losses,
                               const at::Tensor& present);
  /// True when the weighting wants to see what a step has done: `look_back` is then called after
  /// every step. Costs a forward pass.
  virtual bool looks_back() const { return false; }
  /// losses [T] of the batches that `combine` saw last, as the optimiser's step has left them,
  /// their means over the ranks.
  virtual void look_back(const at::Tensor& losses, const at::Tensor& present);
  /// Current weight of every task, for the logs.
  virtual std::vector<double> current_weights() const = 0;
};

/// The elements of a tensor, for current_weights().
std::vector<double> as_doubles(const at::Tensor& values);

using WeightingRegistry = config::Registry<Weighting, const WeightingTasks&>;

}  // namespace triptych

#define TRIPTYCH_REGISTER_WEIGHTING(name, type) \
  TRIPTYCH_REGISTER_COMPONENT(::triptych::WeightingRegistry, name, type)
