// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/config/node.h"

#include <string>
#include <string_view>

namespace triptych::config {

/// Reads one YAML document as Hydra does: YAML 1.1 scalars, merge keys, repeated keys refused.
///
/// `name` stands for the file in marks and messages. An empty document is null. Depth and the size
/// that aliases expand to are bounded: the text may be hostile. Throws ConfigError of category
/// `yaml_syntax`, `yaml_duplicate_key` or `bad_key_type`.
Node parse_yaml(std::string_view text, std::string_view name);

/// The same for a file; a file that cannot be read is an Error of category `io`.
Node read_yaml_file(const std::string& path);

}  // namespace triptych::config
