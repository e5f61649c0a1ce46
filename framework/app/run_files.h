// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/config/node.h"
#include "framework/learn/checkpoint.h"
#include "framework/learn/experiment.h"
#include "framework/report/run_record.h"

#include <filesystem>
#include <map>
#include <memory>
#include <string>

namespace triptych::app {

/// What this build is and which libraries it uses, for `run.json`.
BuildRecord build_record();

/// Applies `threads` to LibTorch, ITK and own kernels, and deterministic algorithms.
void apply_threads(std::int64_t threads);

/// Throws when `output` is one of the files, by key, that it is made from, or lies among the
/// pictures of a folder that is.
void check_keeps_files(const std::map<std::string, std::string>& files, const std::string& output);
/// The same of the files of `input`, by role.
void check_keeps_inputs(const std::map<std::string, std::string>& inputs,
                        const std::string& output);

/// A finished or running training: its resolved configuration and a checkpoint.
struct StoredRun {
  std::filesystem::path folder;
  config::Node resolved;
  std::filesystem::path checkpoint;
  TrainState state;
};

/// The configuration of the run in `folder`, as `train` wrote it. Throws io_error when it is no run
/// directory.
config::Node read_resolved(const std::filesystem::path& folder);

/// Opens `folder`; `which` is "best" or "last". Throws io_error naming what is missing, with a
/// hint.
StoredRun open_run(const std::filesystem::path& folder, const std::string& which);

/// The trained model of a stored run, in inference mode, weights loaded, on the experiment's
/// device. `changes` is merged over the run's configuration: maps deep, anything else replaces.
std::unique_ptr<Experiment> load_experiment(const StoredRun& run, const config::Node& changes);

}  // namespace triptych::app
