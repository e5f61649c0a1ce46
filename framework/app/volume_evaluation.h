// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/app/trained_task.h"
#include "framework/report/table.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace triptych::app {

/// One way to a result: a single plane set, a fusion, a baseline or Otsu's thresholds, with its
/// metrics over all samples.
struct MethodScores {
  std::string name;
  std::unique_ptr<MetricAccumulator> metrics;
};

/// Predicts the samples of a split and scores them.
///
/// With `compare_planes` > 0, a task that has baselines is compared with these, tuned on the first
/// four training samples. A task of classes is also scored by each of so many plane sets alone, by
/// soft and majority voting over three and nine sets, and by Otsu's multi-level thresholds, whose
/// classes are put in the order of the reference's mean grey values (the best case for thresholds);
/// every plane set is predicted once.
std::vector<MethodScores> evaluate_split(const TrainedTask& task,
                                         const std::string& split,
                                         std::int64_t limit,
                                         std::int64_t compare_planes,
                                         const std::filesystem::path& pictures);

/// Rows: methods; columns: the main metric per class and mean, then mean Dice and surface
/// distances; every metric where the main one has no parts.
Table score_table(const std::vector<MethodScores>& scores, const std::string& main_metric);
/// Every metric of every method.
Table metric_table(const std::vector<MethodScores>& scores);

}  // namespace triptych::app
