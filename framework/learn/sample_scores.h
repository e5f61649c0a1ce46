// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/learn/experiment.h"

#include <string>
#include <vector>

namespace triptych {

/// Metrics of one task over the items of one sample.
struct SampleScore {
  std::string task;
  std::string sample;
  std::vector<MetricValue> values;
};

/// False for a task that no stage of the training lets learn.
bool ever_learns(const TrainerConfig& trainer, const std::string& task);

/// Scores every sample of the split "test" with the weights as they are, item by item as a
/// validation does, for the tasks that ever learn; by task, then in the order of the split. Empty
/// when a stop was requested on the way. Throws data_error when no task has a test sample.
std::vector<SampleScore> score_test_samples(Experiment& experiment);

}  // namespace triptych
