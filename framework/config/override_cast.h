// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/config/override_functions.h"

#include <string>

namespace triptych::config {

enum class CastTo { kInt, kFloat, kText, kBool };

/// Why a cast is impossible; turned into a ConfigError by the function that casts.
struct CastFailure {
  std::string what;
};

/// Casts as Python's int(), float(), str() and bool() do, through lists, map values and sweeps;
/// texts become booleans only if they say so, and booleans become lower-case texts.
Argument cast_argument(const Argument& argument, CastTo to);

}  // namespace triptych::config
