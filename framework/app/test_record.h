// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/learn/sample_scores.h"

#include <string>

namespace triptych::app {

/// test.json: of each task the main metric, the direction of every metric, and every sample's
/// values (null where one is undefined).
std::string test_record(const Experiment& experiment, const std::vector<SampleScore>& scores);

}  // namespace triptych::app
