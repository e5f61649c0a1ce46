// SPDX-License-Identifier: Apache-2.0
#include "framework/learn/schedule.h"

#include "framework/core/error.h"

#include <algorithm>

namespace triptych {

void Schedule::observe(std::int64_t, double) {}

void Schedule::load(const std::map<std::string, double>& state) {
  if (state.empty()) return;
  throw model_error(
      fmt::format("schedule: the checkpoint holds '{}', which this schedule does not have",
                  state.begin()->first),
      "the checkpoint was written with another schedule");
}

double warmup_factor(std::int64_t step, std::int64_t warmup_steps) {
  if (step >= warmup_steps) return 1.0;
  return static_cast<double>(step + 1) / static_cast<double>(warmup_steps);
}

double schedule_progress(std::int64_t step, std::int64_t warmup_steps, std::int64_t max_steps) {
  const auto length = static_cast<double>(std::max<std::int64_t>(max_steps - warmup_steps, 1));
  return std::clamp(static_cast<double>(step - warmup_steps) / length, 0.0, 1.0);
}

double saved_number(const std::map<std::string, double>& state, const std::string& name) {
  const auto found = state.find(name);
  if (found != state.end()) return found->second;
  throw model_error(fmt::format("schedule: the checkpoint lacks '{}'", name),
                    "the checkpoint was written with another schedule");
}

}  // namespace triptych
