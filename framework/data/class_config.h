// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/config/problems.h"
#include "framework/config/rules.h"
#include "framework/image/class_table.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace triptych {

/// A class as a recipe lists it.
struct ClassConfig {
  std::optional<std::int64_t> value;
  std::string name;
  std::optional<std::string> color;

  void visit(auto& field) {
    field("value", value, "grey value in the label files; its place in the list when left out");
    field("name", name, "for tables and pictures", config::Need::kRequired);
    field("color", color, "'#rrggbb'; a distinguishable one when left out");
  }
  void validate(config::Problems& problems) const;
};

/// A class without a colour gets that of its place in the list, or the next that no other has.
ClassTable class_table_of(const std::vector<ClassConfig>& configs);

}  // namespace triptych
