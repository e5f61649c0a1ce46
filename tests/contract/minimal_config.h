// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/config/component.h"
#include "framework/config/node.h"

#include <string>

namespace triptych::testing {

/// The smallest configuration of a registered component: its name and a plain value for every
/// required field.
inline config::Node minimal_config(const config::AnyRegistry& registry, const std::string& name) {
  config::Node node = config::Node::map();
  node.set("name", config::Node(name));
  for (const config::FieldInfo& field : registry.describe(name)) {
    if (!field.required) continue;
    if (field.type == "integer") node.set_path(field.name, config::Node(3));
    if (field.type == "number") node.set_path(field.name, config::Node(0.5));
    if (field.type == "text") node.set_path(field.name, config::Node("x"));
  }
  return node;
}

}  // namespace triptych::testing
