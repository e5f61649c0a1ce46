// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/learn/experiment.h"
#include "framework/report/run_record.h"

#include <filesystem>

namespace triptych::app {

/// Initialises the model as the key `initialise` says. Counts and some names go to the log and to
/// run.json, the whole report to `folder`/initialised.json. Without sources nothing happens.
void initialise_run(Experiment& experiment, const std::filesystem::path& folder, RunRecord& record);

}  // namespace triptych::app
