// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/learn/checkpoint.h"
#include "framework/learn/validation.h"

#include <string>
#include <vector>

namespace triptych {

/// Chooses the best checkpoint by `trainer.monitor` and says when patience runs out.
///
/// `auto` is the main metric of a single task. Of several it is Delta_m, the mean over the tasks of
/// the signed relative change of their main metrics against the first validation, positive when
/// better. A first value nearer to zero than 0.05 counts as 0.05, so that a metric that starts at
/// nothing does not drown the others.
class ModelSelection {
 public:
  /// Throws ConfigError when trainer.monitor names a metric that its task does not have.
  explicit ModelSelection(const Experiment& experiment);

  /// "<task>/<metric>", "loss/val", or "Delta_m".
  std::string name() const { return monitor_ == "auto" ? "Delta_m" : monitor_; }
  /// Takes a validation into `state` (first metrics, best value, best step, early stop); true when
  /// it is the best so far.
  bool observe(const std::vector<ValidationValue>& values, TrainState& state) const;
  /// The monitored value; NaN when it is undefined. Needs the first metrics in `state`.
  ValidationValue monitored(const std::vector<ValidationValue>& values,
                            const TrainState& state) const;

 private:
  ValidationValue relative_change(const std::vector<ValidationValue>& values,
                                  const TrainState& state) const;

  std::string monitor_;  ///< name of a ValidationValue, or "auto" with several tasks
  std::vector<std::string> main_metrics_;
  double min_delta_;
  std::int64_t patience_;
};

}  // namespace triptych
