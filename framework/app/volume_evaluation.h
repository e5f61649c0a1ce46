// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/app/trained_task.h"
#include "framework/report/table.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace triptych::app {

/// One way to a label map: a single plane set, a fusion, or Otsu's thresholds, with its metrics
/// over all samples.
struct MethodScores {
  std::string name;
  std::unique_ptr<MetricAccumulator> metrics;
};

/// Predicts the samples of a split and scores them.
///
/// With `compare`, every volume is also scored by each of the nine plane sets alone, by soft and
/// majority voting over three and nine sets, and by Otsu's multi-level thresholds, whose classes
/// are put in the order of the reference's mean grey values (the best case for thresholds); every
/// plane set is predicted once.
std::vector<MethodScores> evaluate_split(const TrainedTask& task,
                                         const std::string& split,
                                         std::int64_t limit,
                                         bool compare,
                                         const std::filesystem::path& pictures);

/// Rows: methods; columns: the main metric per class and mean, then mean Dice and surface
/// distances.
Table score_table(const std::vector<MethodScores>& scores, const std::string& main_metric);
/// Every metric of every method.
Table metric_table(const std::vector<MethodScores>& scores);

}  // namespace triptych::app
