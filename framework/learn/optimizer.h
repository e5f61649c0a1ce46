// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/config/fields.h"
#include "framework/core/safetensors.h"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

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
  std::map<std::string, double> rates = {};

  void visit(auto& field) {
    field("name", name, "optimiser", config::OneOf{"adam", "adamw", "sgd"});
    field("lr", lr, "base learning rate", config::Above{0.0});
    field("betas",
          betas,
          "decay of the moments (adam, adamw)",
          config::AtLeast{0.0},
          config::Below{1.0},
          config::Length{2});
    field("epsilon",
          epsilon,
          "term that keeps the division stable (adam, adamw)",
          config::Above{0.0});
    field("weight_decay",
          weight_decay,
          "L2 penalty (adam, sgd) or decoupled decay (adamw)",
          config::AtLeast{0.0});
    field("momentum", momentum, "momentum (sgd)", config::Between{0.0, 1.0});
    field("nesterov", nesterov, "Nesterov momentum (sgd); without effect when momentum is 0");
    field("rates",
          rates,
          "factors on the learning rate by the beginning of parameter names, e.g. {head_: 10, "
          "sharing.: 0.1}; the longest "
          "that fits holds",
          config::AtLeast{0.0});
  }
};

/// Adam (Kingma and Ba 2015), AdamW (Loshchilov and Hutter 2019) or SGD over named parameters. Own
/// code, because LibTorch's optimiser files differ between versions and its state is keyed by
/// address: this state is plain tensors by parameter name
/// ("<parameter>.exp_avg", ".exp_avg_sq", ".momentum", ".step"), exact to resume.
class Optimizer {
 public:
  /// Throws ConfigError when a beginning in config.rates fits no parameter.
  Optimizer(OptimizerConfig config, NamedTensors parameters);

  /// One update with learning rate lr * factor * (the parameter's rate) from the parameters'
  /// gradients; parameters without gradient are skipped.
  void step(double factor);
  void zero_grad();
  /// Scales all gradients so that their total L2 norm is at most `max_norm` (0 = only measure);
  /// returns the norm before. A norm that is NaN or infinite scales nothing.
  double clip_gradients(double max_norm);
  const OptimizerConfig& config() const { return config_; }
  const NamedTensors& parameters() const { return parameters_; }

  /// State tensors by name, and the number of updates of each parameter as int64 [1]
  /// "<parameter>.step".
  NamedTensors state() const;
  /// Throws model_error naming what is missing, superfluous or of another shape; then nothing was
  /// changed.
  void load(const SafeTensors& state);

 private:
  struct Slot {
    std::int64_t step = 0;
    at::Tensor first, second;
  };
  /// Parameters that had the same number of updates, for operators that take lists of tensors.
  struct Bundle {
    std::vector<at::Tensor> parameters, gradients, first, second;
  };

  bool is_adam() const { return config_.name != "sgd"; }
  void allocate(Slot& slot, const at::Tensor& parameter) const;
  void update_in_place(at::Tensor& parameter,
                       const at::Tensor& gradient,
                       Slot& slot,
                       double lr) const;
  void update_adam(Bundle& bundle, std::int64_t step, double lr) const;
  void update_sgd(Bundle& bundle, std::int64_t step, double lr) const;

  OptimizerConfig config_;
  NamedTensors parameters_;
  std::vector<double> rates_;  ///< by parameter
  std::vector<Slot> slots_;
};

}  // namespace triptych
