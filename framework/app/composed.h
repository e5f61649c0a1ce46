// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/app/command_line.h"
#include "framework/config/node.h"

namespace triptych::app {

/// Composes groups and overrides of the command line and resolves interpolations; the key `hydra`
/// is left out.
config::Node compose_resolved(const CommandLine& command);

}  // namespace triptych::app
