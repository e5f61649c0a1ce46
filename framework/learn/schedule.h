// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/config/component.h"

#include <cstdint>
#include <map>
#include <string>

namespace triptych {

/// Factor on the base learning rate. Its state is a few numbers, saved with every checkpoint.
class Schedule {
 public:
  static constexpr const char* kKind = "schedule";
  virtual ~Schedule() = default;
  /// Factor of optimiser step `step` (0-based).
  virtual double factor(std::int64_t step) const = 0;
  /// A new validation value of the loss (lower is better) after `step` optimiser steps.
  virtual void observe(std::int64_t step, double validation_loss);
  virtual std::map<std::string, double> state() const { return {}; }
  /// Throws model_error when `state` is not what state() gives.
  virtual void load(const std::map<std::string, double>& state);
};

/// Linear warm-up: (step + 1) / warmup_steps during the first `warmup_steps` steps, 1 from then on.
double warmup_factor(std::int64_t step, std::int64_t warmup_steps);

/// Fraction in [0, 1] of the way from the end of the warm-up to `max_steps` at `step`.
double schedule_progress(std::int64_t step, std::int64_t warmup_steps, std::int64_t max_steps);

/// Value `name` of a saved state; throws model_error when it is not there.
double saved_number(const std::map<std::string, double>& state, const std::string& name);

/// `max_steps` of the trainer is the length of schedules that need one.
using ScheduleRegistry = config::Registry<Schedule, std::int64_t>;

}  // namespace triptych

#define TRIPTYCH_REGISTER_SCHEDULE(name, type) \
  TRIPTYCH_REGISTER_COMPONENT(::triptych::ScheduleRegistry, name, type)
