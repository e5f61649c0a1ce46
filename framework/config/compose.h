// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/config/config_repository.h"
#include "framework/config/defaults_tree.h"
#include "framework/config/interpolation.h"
#include "framework/config/node.h"
#include "framework/config/override.h"

#include <ctime>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace triptych::config {

struct ComposeRequest {
  std::vector<SearchEntry> search_path;
  std::string config_name = "config";
  std::vector<std::string> overrides;
  /// Positions of the words on the command line, for messages; 1, 2, ... if left out.
  std::vector<int> word_numbers;
  /// Leaves groups whose option is "???" open and does not refuse sweeps.
  bool multirun = false;
  /// Moment of `${now:...}`; the current one if 0. All jobs of a sweep share it.
  std::time_t now = 0;
  /// Name of the program's verb, `${hydra:job.name}`.
  std::string job_name = "triptych";
};

/// What a command line means.
struct Composition {
  Node config;  ///< interpolations unresolved, without `hydra`
  Node hydra;   ///< the settings under `hydra`, as Hydra stores them
  std::vector<Override> overrides;
  std::vector<DefaultsStep> steps;
  std::map<std::string, std::string> choices;  ///< group (or group@package) -> option
  std::time_t now = 0;
};

/// Composes a configuration from files and override words, exactly as Hydra does.
///
/// Nothing is resolved yet: interpolations that lead nowhere are errors of `resolve` only. Every
/// error is a ConfigError whose category says why.
Composition compose(const ComposeRequest& request);

/// The configuration with all interpolations resolved; they see `hydra` too.
Node resolve(const Composition& composition, std::vector<std::string>* warnings = nullptr);

/// The resolved value at a dotted path.
Node resolve_at(const Composition& composition, std::string_view path);

/// A resolved setting under `hydra`, as "run.dir".
Node resolve_hydra(const Composition& composition, std::string_view path);

struct SweepJob {
  std::vector<std::string> overrides;  ///< without those of hydra
  Composition composition;
};

struct SweepPlan {
  Composition master;  ///< the command line without the swept words; what multirun.yaml records
  std::vector<SweepJob> jobs;
};

/// Composes every job of a sweep, in their order.
SweepPlan compose_sweep(const ComposeRequest& request);

/// Where configurations are looked for: `config_dir` (if not empty), the folders in
/// $TRIPTYCH_CONFIG_PATH (separated by ':'), then the experiments/ that belongs to the program.
///
/// A `config_dir` that holds the primary configuration `config_name` is a root of its own: the
/// program's experiments/ is left out, so that a stored run or a foreign project means the same
/// whatever groups the program ships.
std::vector<SearchEntry> default_search_path(const std::filesystem::path& config_dir,
                                             const std::string& config_name,
                                             const std::filesystem::path& executable);

}  // namespace triptych::config
