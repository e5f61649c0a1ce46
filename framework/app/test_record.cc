// SPDX-License-Identifier: Apache-2.0
#include "framework/app/test_record.h"

#include <cmath>

#include <nlohmann/json.hpp>

namespace triptych::app {

std::string test_record(const Experiment& experiment, const std::vector<SampleScore>& scores) {
  nlohmann::ordered_json record;
  record["split"] = "test";
  for (const SampleScore& score : scores) {
    nlohmann::ordered_json& task = record["tasks"][score.task];
    nlohmann::ordered_json values;
    for (const MetricValue& metric : score.values) {
      values[metric.name] = std::isfinite(metric.value) ? nlohmann::ordered_json(metric.value)
                                                        : nlohmann::ordered_json();
      task["directions"][metric.name] =
          metric.direction == Direction::kHigherIsBetter ? "higher" : "lower";
    }
    task["samples"][score.sample] = std::move(values);
  }
  for (const ExperimentTask& task : experiment.tasks()) {
    if (record["tasks"].contains(task.key))
      record["tasks"][task.key]["main_metric"] = task.task->main_metric();
  }
  return record.dump(2) + "\n";
}

}  // namespace triptych::app
