// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/config/interpolation.h"
#include "framework/config/node.h"
#include "framework/config/override.h"

namespace triptych::config {

/// Applies one value override to a composed configuration, as Hydra does: keys that do not exist
/// are refused without `+`, `+` refuses keys that have a value, maps merge, lists are replaced.
/// Categories: `key_not_found`, `key_exists`, `index_out_of_range`, `group_not_found`,
/// `delete_missing_key`, `delete_value_mismatch`, `missing_value`, `merge_type_mismatch`.
void apply_override(Node& config,
                    const Override& override_word,
                    const ResolveContext& context = {});

}  // namespace triptych::config
