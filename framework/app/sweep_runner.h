// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/app/command_line.h"

namespace triptych::app {

/// `train -m`: every job of the sweep in a process of its own, `--jobs N` at once. A failed job
/// does not stop the others; the exit code is then 1. Jobs whose run.json says done are kept,
/// unfinished ones go on from their last checkpoint, so the same command with hydra.sweep.dir=<dir>
/// continues a stopped sweep. Ends with a table of all jobs in results.{json,md}.
int run_sweep(const CommandLine& command, const config::ComposeRequest& request);

}  // namespace triptych::app
