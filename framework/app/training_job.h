// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/app/command_line.h"
#include "framework/config/node.h"

#include <filesystem>

namespace triptych::app {

/// Throws usage_error when `folder` holds a trained or half trained model, which a new run would
/// overwrite.
void check_holds_no_run(const std::filesystem::path& folder);

/// Trains in `folder` (made if needed; `.hydra/` is already there) and returns the exit code.
/// With `resume`, `resolved` is what the folder holds and training goes on from its last
/// checkpoint.
int run_training(const CommandLine& command,
                 const config::Node& resolved,
                 const std::filesystem::path& folder,
                 bool resume);

}  // namespace triptych::app
