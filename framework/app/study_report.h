// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/config/node.h"

#include <filesystem>
#include <vector>

namespace triptych::app {

/// A job of a sweep: what it was asked to do, and where it did it.
struct StudyJob {
  config::Node resolved;
  std::filesystem::path folder;
};

/// Refuses a `study.reference` that no job has as its arm, and jobs that name different ones; warns
/// where the reference by default is not swept. Nothing where no job names an arm.
void check_study(const std::vector<StudyJob>& jobs);

/// Compares the arms (key `study`) of the jobs that have a test.json; writes comparison.md, .json
/// and .html into `folder` and prints the summary; jobs without
/// scores are named there. Nothing where no job names an arm. Throws
/// data_error for a test.json that cannot be read.
void write_study_report(const std::filesystem::path& folder, const std::vector<StudyJob>& jobs);

}  // namespace triptych::app
