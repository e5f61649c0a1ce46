// SPDX-License-Identifier: Apache-2.0
#include "framework/app/engine.h"
#include "framework/app/run_files.h"
#include "framework/app/sweep_runner.h"
#include "framework/app/training_job.h"
#include "framework/config/compose.h"
#include "framework/config/run_layout.h"
#include "framework/core/error.h"
#include "framework/core/folder_lock.h"
#include "framework/core/torch_compat.h"
#include "framework/learn/checkpoint.h"
#include "framework/learn/experiment.h"

namespace triptych::app {
namespace fs = std::filesystem;
namespace {

/// The folder of `resume=<run dir>`, or "" when the words compose a new run. Nothing may stand
/// beside it: a resumed run has the configuration it was started with.
fs::path resume_folder(const CommandLine& command) {
  for (const std::string& word : command.words) {
    if (!word.starts_with("resume=")) continue;
    if (command.words.size() > 1) {
      throw usage_error(
          "resume=<run dir> takes no other words: a resumed run keeps its configuration",
          "start a new run to change anything");
    }
    return word.substr(7);
  }
  return "";
}

int resume(const CommandLine& command, const fs::path& folder) {
  const config::Node resolved = read_resolved(folder);
  const FolderLock lock(folder);
  if (!recover_checkpoint(folder / "checkpoints" / "last")) {
    throw io_error(
        fmt::format("{}: the run was stopped before its first checkpoint", folder.string()),
        fmt::format("start it anew: triptych train --config-dir {} --config-name resolved",
                    folder.string()));
  }
  return run_training(command, resolved, folder, true);
}

}  // namespace

int train(const CommandLine& command) {
  if (const fs::path folder = resume_folder(command); !folder.empty())
    return resume(command, folder);
  const config::ComposeRequest request = compose_request(command);
  if (command.multirun) return run_sweep(command, request);
  config::Composition composition = config::compose(request);
  const config::Node resolved = config::resolve(composition);
  Experiment::check(resolved);
  apply_threads(resolved.int_or("threads", 0));
  device_from_text(resolved.string_or("device", "auto"));
  const fs::path folder = config::run_directory(composition);
  const FolderLock lock(folder);
  check_holds_no_run(folder);
  config::write_run_files(composition, folder);
  return run_training(command, resolved, folder, false);
}

int check(const CommandLine& command) {
  const config::Composition composition = config::compose(compose_request(command));
  Experiment::check(config::resolve(composition));
  return 0;
}

}  // namespace triptych::app
