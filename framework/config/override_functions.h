// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/config/override.h"

#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace triptych::config {

/// What a function of the override grammar takes and gives.
using Argument = std::variant<OverrideValue, Sweep>;

/// A call as it was parsed: `sort([3,1,2], reverse=true)`.
struct FunctionCall {
  std::string name;
  std::vector<Argument> positional;
  std::vector<std::pair<std::string, Argument>> named;
  std::string place;  ///< for messages
};

/// Runs `int float str bool choice range interval glob sort shuffle tag`. Throws ConfigError of
/// category `unknown_function` or `bad_function_call`.
Argument evaluate(const FunctionCall& call);

}  // namespace triptych::config
