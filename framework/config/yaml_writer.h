// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/config/node.h"

#include <string>

namespace triptych::config {

struct YamlStyle {
  /// Ends every scalar's line with `# file:line:column`, the place where its value was written.
  bool origins = false;
};

/// Block YAML in the layout of PyYAML, as Hydra writes it: maps and lists one entry a line, a list
/// inside a map at the map's own indentation. Reading it back gives an equal node: text that would
/// read as another type is quoted.
std::string to_yaml(const Node& node, YamlStyle style = {});

/// The same on one line: `{a: 1, b: [x, 'true']}`.
std::string to_flow_yaml(const Node& node);

/// A text scalar, quoted if it has to be.
std::string yaml_string(const std::string& text, bool in_flow = false);

}  // namespace triptych::config
