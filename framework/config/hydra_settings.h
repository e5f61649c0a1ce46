// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/config/compose.h"

#include <string>
#include <vector>

namespace triptych::config {

/// The settings under `hydra` with Hydra's own defaults, as far as this program has them.
Node hydra_defaults();

/// Fills in what is known once the words are: overrides, choices, job name, search path.
void fill_hydra(Node& hydra,
                const ComposeRequest& request,
                const Composition& composition,
                const ConfigRepository& repository);

/// `lr=0.1,seed=2`: the words of a job as a part of a folder's name.
std::string override_dirname(const Node& hydra, const std::vector<Override>& overrides);

}  // namespace triptych::config
