// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "framework/config/fields.h"
#include "framework/core/safetensors.h"

namespace triptych {

/// Key `optimizer`.
struct OptimizerConfig {
  std::string name = "adam";
  double lr = 3e-4;
  std::vector<double> betas = {0.9, 0.999};
  double epsilon = 1e-8;
  double weight_decay = 0.0;
  double momentum = 0.9;
  bool nesterov = true;

  void visit(auto& field) {
    field("name", name, "optimiser", config::OneOf{"adam", "adamw", "sgd"});
    field("lr", lr, "base learning rate", config::Above{0.0});
    field("betas", betas, "decay of the moments (adam, adamw)", config::Between{0.0, 1.0}, config::Length{2});
    field("epsilon", epsilon, "term that keeps the division stable (adam, adamw)", config::Above{0.0});
    field("weight_decay", weight_decay, "L2 penalty (adam, sgd) or decoupled decay (adamw)", config::AtLeast{0.0});
    field("momentum", momentum, "momentum (sgd)", config::Between{0.0, 1.0});
    field("nesterov", nesterov, "Nesterov momentum (sgd)");
  }
};

/// Adam, AdamW or SGD over named parameters. Own code, because LibTorch's optimiser files differ between versions and its
/// state is keyed by address: this state is plain tensors by parameter name ("<parameter>.exp_avg", ...), exact to resume.
class Optimizer {
 public:
  Optimizer(OptimizerConfig config, NamedTensors parameters);

  /// One update with learning rate lr * factor from the parameters' gradients; parameters without gradient are skipped.
  void step(double factor);
  void zero_grad();
  /// Scales all gradients so that their total L2 norm is at most `max_norm`; returns the norm before. float32.
  double clip_gradients(double max_norm);
  const OptimizerConfig& config() const { return config_; }
  const NamedTensors& parameters() const { return parameters_; }

  /// State tensors by name, and the number of updates of each parameter as int64 [1] "<parameter>.step".
  NamedTensors state() const;
  /// Throws model_error naming what is missing, superfluous or of another shape.
  void load(const SafeTensors& state);

 private:
  struct Slot {
    std::int64_t step = 0;
    at::Tensor first, second;
  };
  void update_adam(at::Tensor& parameter, const at::Tensor& gradient, Slot& slot, double lr);
  void update_sgd(at::Tensor& parameter, const at::Tensor& gradient, Slot& slot, double lr);

  OptimizerConfig config_;
  NamedTensors parameters_;
  std::vector<Slot> slots_;
};

}  // namespace triptych
