// SPDX-License-Identifier: Apache-2.0
#include "framework/learn/model_selection.h"

#include "framework/core/error.h"
#include "framework/core/suggest.h"

#include <algorithm>
#include <cmath>

namespace triptych {
namespace {

constexpr double kSmallestBase = 0.05;

const ValidationValue* find(const std::vector<ValidationValue>& values, const std::string& name) {
  const auto found = std::find_if(
      values.begin(), values.end(), [&](const ValidationValue& v) { return v.name == name; });
  return found == values.end() ? nullptr : &*found;
}

/// Change of `value` against `base` in the good direction.
double gain(double value, double base, Direction direction) {
  return direction == Direction::kHigherIsBetter ? value - base : base - value;
}

/// Refuses a metric that the task does not have, as far as its empty accumulator tells the names.
void check_metric(const ExperimentTask& task, const std::string& metric, const std::string& place) {
  if (metric == "loss/val") return;
  std::vector<std::string> names;
  for (const MetricValue& value : task.task->metrics()->values()) names.push_back(value.name);
  if (names.empty() || std::find(names.begin(), names.end(), metric) != names.end()) return;
  const std::string meant = did_you_mean(metric, names);
  throw ConfigError("schema",
                    fmt::format("{}: task '{}' has no metric '{}'{} Metrics: {}",
                                place,
                                task.key,
                                metric,
                                meant.empty() ? "." : meant,
                                join(names)));
}

}  // namespace

ModelSelection::ModelSelection(const Experiment& experiment)
    : monitor_(experiment.config().trainer.monitor),
      min_delta_(experiment.config().trainer.min_delta),
      patience_(experiment.config().trainer.patience) {
  for (const ExperimentTask& task : experiment.tasks()) {
    check_metric(task, task.task->main_metric(), "main_metric");
    main_metrics_.push_back(task.key + "/" + task.task->main_metric());
    if (monitor_.starts_with(task.key + "/"))
      check_metric(task, monitor_.substr(task.key.size() + 1), "trainer.monitor");
  }
  if (monitor_ == "auto" && main_metrics_.size() == 1) monitor_ = main_metrics_[0];
}

ValidationValue ModelSelection::monitored(const std::vector<ValidationValue>& values,
                                          const TrainState& state) const {
  if (monitor_ == "auto") return relative_change(values, state);
  if (const ValidationValue* value = find(values, monitor_)) return *value;
  std::vector<std::string> names;
  for (const ValidationValue& value : values) names.push_back(value.name);
  const std::string meant = did_you_mean(monitor_, names);
  throw ConfigError("schema",
                    fmt::format("trainer.monitor: no validation gives '{}'{} Values: {}",
                                monitor_,
                                meant.empty() ? "." : meant,
                                join(names)));
}

ValidationValue ModelSelection::relative_change(const std::vector<ValidationValue>& values,
                                                const TrainState& state) const {
  double sum = 0.0;
  std::int64_t count = 0;
  for (const std::string& name : main_metrics_) {
    const ValidationValue* value = find(values, name);
    const auto first = state.first_metrics.find(name);
    if (value == nullptr || first == state.first_metrics.end() || !std::isfinite(value->value))
      continue;
    sum += gain(value->value, first->second, value->direction) /
           std::max(std::abs(first->second), kSmallestBase);
    ++count;
  }
  return {"auto",
          count > 0 ? sum / static_cast<double>(count) : std::nan(""),
          Direction::kHigherIsBetter};
}

bool ModelSelection::observe(const std::vector<ValidationValue>& values, TrainState& state) const {
  // emplace keeps the first value; one that was undefined then enters when it is first defined.
  for (const ValidationValue& value : values) {
    if (std::isfinite(value.value)) state.first_metrics.emplace(value.name, value.value);
  }
  const ValidationValue now = monitored(values, state);
  const bool first = state.best_step < 0;
  const bool better = std::isfinite(now.value) &&
                      (first || gain(now.value, state.best_value, now.direction) > min_delta_);
  if (better) {
    state.best_value = now.value;
    state.best_step = state.step;
  }
  const std::int64_t since = state.step - std::max<std::int64_t>(state.best_step, 0);
  state.early_stopped = patience_ > 0 && since >= patience_;
  return better;
}

}  // namespace triptych
