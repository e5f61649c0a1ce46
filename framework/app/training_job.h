// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/app/command_line.h"
#include "framework/config/node.h"

#include <filesystem>

namespace triptych::app {

/// Trains in `folder` (made if needed; `.hydra/` is already there) and returns the exit code.
/// With `resume`, `resolved` is what the folder holds and training goes on from its last
/// checkpoint.
int run_training(const CommandLine& command,
                 const config::Node& resolved,
                 const std::filesystem::path& folder,
                 bool resume);

}  // namespace triptych::app
