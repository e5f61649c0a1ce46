// SPDX-License-Identifier: Apache-2.0
#include "framework/data/class_config.h"

#include "framework/core/error.h"

#include <array>
#include <set>

namespace triptych {

void ClassConfig::validate(config::Problems& problems) const {
  try {
    if (color) color_from_text(*color);
  } catch (const Error&) {
    problems.add("color", fmt::format("expects '#rrggbb', got '{}'", *color));
  }
}

ClassTable class_table_of(const std::vector<ClassConfig>& configs) {
  std::set<std::array<std::uint8_t, 3>> taken;
  for (const ClassConfig& config : configs) {
    if (config.color) taken.insert(color_from_text(*config.color));
  }
  ClassTable table;
  for (const ClassConfig& config : configs) {
    const std::int64_t index = table.size();
    LabelClass entry{config.value.value_or(index), config.name};
    if (config.color) {
      entry.color = color_from_text(*config.color);
    } else {
      std::int64_t place = index;
      while (!taken.insert(class_color(place)).second) ++place;
      entry.color = class_color(place);
    }
    table.classes.push_back(entry);
  }
  return table;
}

}  // namespace triptych
