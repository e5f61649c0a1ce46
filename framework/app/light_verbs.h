// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/app/command_line.h"

namespace triptych::app {

/// Verbs of the light program, which needs neither LibTorch nor components. Each returns the exit
/// code; errors are thrown.
int compose(const CommandLine& command);
int completion(const CommandLine& command);
int new_component(const CommandLine& command);

}  // namespace triptych::app
