// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "framework/config/component.h"

namespace triptych {

/// Factor on the base learning rate. Its state is a few numbers, saved with every checkpoint.
class Schedule {
 public:
  static constexpr const char* kKind = "schedule";
  virtual ~Schedule() = default;
  /// Factor of optimiser step `step` (0-based).
  virtual double factor(std::int64_t step) const = 0;
  /// A new validation value of the monitored loss (lower is better).
  virtual void observe(std::int64_t step, double validation_loss);
  virtual std::map<std::string, double> state() const { return {}; }
  virtual void load(const std::map<std::string, double>& state);
};

/// `max_steps` of the trainer is the length of schedules that need one.
using ScheduleRegistry = config::Registry<Schedule, std::int64_t>;

}  // namespace triptych

#define TRIPTYCH_REGISTER_SCHEDULE(name, type) TRIPTYCH_REGISTER_COMPONENT(::triptych::ScheduleRegistry, name, type)
