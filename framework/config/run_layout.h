// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/config/compose.h"

#include <filesystem>

namespace triptych::config {

/// `hydra.run.dir`, resolved: the folder of a single run, `outputs/<date>/<time>` by default.
std::filesystem::path run_directory(const Composition& composition);

/// `hydra.sweep.dir` of a sweep, `multirun/<date>/<time>` by default.
std::filesystem::path sweep_directory(const Composition& master);

/// Folder of one job of a sweep: `hydra.sweep.dir` / `hydra.sweep.subdir`.
std::filesystem::path job_directory(const SweepJob& job);

/// Throws a ConfigError (category `usage`) when `folder` holds a job that other words started:
/// resuming a sweep must not take another one's results for its own.
void check_same_words(const SweepJob& job, const std::filesystem::path& folder);

/// Writes `.hydra/{config,overrides,hydra}.yaml` into a run's folder as Hydra does, and notes the
/// folder as `hydra.runtime.output_dir`. Folders are made.
void write_run_files(Composition& composition, const std::filesystem::path& folder);

/// Writes `multirun.yaml` into the folder of a sweep.
void write_multirun_file(const Composition& master, const std::filesystem::path& folder);

}  // namespace triptych::config
