// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/config/config_repository.h"
#include "framework/config/override.h"

#include <string>
#include <vector>

namespace triptych::config {

/// The override words of every job of a sweep: the product of all swept words in their order, the
/// last one fastest; fixed words stay at their places; a repeated key keeps its first place and its
/// last value. Category `sweep_not_enumerable` for intervals and endless or huge ranges.
std::vector<std::vector<std::string>> expand_sweep(const std::vector<Override>& overrides,
                                                   const ConfigRepository& repository);

/// Values of one sweep as the text after `=`.
std::vector<std::string> sweep_values(const Override& override_word,
                                      const ConfigRepository& repository);

}  // namespace triptych::config
