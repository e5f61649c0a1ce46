// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/config/node.h"

#include <optional>
#include <string_view>

namespace triptych::config {

/// The value of an unquoted YAML scalar as Hydra reads it: YAML 1.1 as in PyYAML, with exponents
/// without a dot (`1e3`) as floats and without dates.
///
/// `yes no on off` are booleans, `010` is 8, `0b101` is 5, `12:30` is 750, `1_000` is 1000; `0o17`
/// and `2024-01-31` are text. Throws a ConfigError (`yaml_syntax`) for an integer beyond 64 bits.
Node resolve_plain_scalar(std::string_view text, Mark mark);

/// True if some YAML reader might take the unquoted text for something else than text.
bool reads_as_other_type(std::string_view text);

/// The scalar under an explicit tag ("tag:yaml.org,2002:int"), or nothing if tag and text disagree.
std::optional<Node> resolve_tagged_scalar(std::string_view tag, std::string_view text, Mark mark);

}  // namespace triptych::config
