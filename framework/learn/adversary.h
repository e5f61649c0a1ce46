// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/config/component.h"
#include "framework/learn/optimizer.h"
#include "framework/learn/task.h"

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

namespace triptych {

/// Keys of `tasks.<name>.adversary` that are the framework's. The other keys, `name` included, are
/// the component's.
struct AdversarySetup {
  double weight = 1.0;
  OptimizerConfig optimizer;

  void visit(auto& field) {
    field("weight",
          weight,
          "weight of the adversary's term in the task's loss",
          config::AtLeast{0.0});
    field("optimizer",
          optimizer,
          "optimiser of the adversary itself; the schedule's factor holds for it too");
  }
};

/// A network that learns to tell a task's predictions from its targets (Goodfellow et al., NeurIPS
/// 2014), while the task's loss gets a term that is low where it fails. It steps no optimiser: the
/// trainer drives it.
class Adversary : public torch::nn::Module {
 public:
  static constexpr const char* kKind = "adversary";
  /// Scalar that the predicting network is to lower. The adversary's own parameters are held fixed
  /// meanwhile.
  virtual at::Tensor generator_loss(const Prediction& prediction, const Batch& batch) = 0;
  /// Scalar that the adversary itself is to lower; no gradient reaches the network that predicted.
  virtual at::Tensor own_loss(const Prediction& detached, const Batch& batch) = 0;
  /// How real images [N, C, D, H, W] look: scores of any shape, high for targets and low for
  /// predictions that it sees through; undefined for an adversary that judges pairs only.
  virtual at::Tensor scores(const at::Tensor& /*images*/) { return {}; }
};

using AdversaryRegistry = config::Registry<Adversary, const TaskContext&>;

}  // namespace triptych

#define TRIPTYCH_REGISTER_ADVERSARY(name, type) \
  TRIPTYCH_REGISTER_COMPONENT(::triptych::AdversaryRegistry, name, type)
