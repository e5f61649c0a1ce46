// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/config/compose.h"
#include "framework/core/error.h"

#include <string>
#include <vector>

namespace triptych::config {

/// The settings under `hydra` with Hydra's own defaults, as far as this program has them.
Node hydra_defaults();

/// The error for a choice of `hydra/launcher`, `hydra/sweeper` and other groups of Hydra itself:
/// there are none here. `place` is the word or line that asks for it.
ConfigError hydra_group_error(const std::string& place, const std::string& group);

/// Fills in what is known once the words are: overrides, choices, job name, search path.
void fill_hydra(Node& hydra,
                const ComposeRequest& request,
                const Composition& composition,
                const ConfigRepository& repository);

/// `lr=0.1,seed=2`: the words of a job as a part of a folder's name.
std::string override_dirname(const Node& hydra, const std::vector<Override>& overrides);

}  // namespace triptych::config
