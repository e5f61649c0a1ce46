// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace triptych {

/// One class of a label map.
struct LabelClass {
  std::int64_t value =
      0;  ///< grey value in label files; the class index is the position in the table
  std::string name;
  std::array<std::uint8_t, 3> color{0, 0, 0};  ///< RGB 0..255
};

/// The one list of classes of a recipe; feeds label checks, .seg.nrrd, colour tables, pictures and
/// result tables. Position 0 is the background.
struct ClassTable {
  std::vector<LabelClass> classes;

  std::int64_t size() const { return static_cast<std::int64_t>(classes.size()); }
  std::vector<std::string> names() const;
};

/// `count` classes "class_0".. with distinguishable, colour-blind-safe colours; class 0 is black.
ClassTable numbered_classes(std::int64_t count);
/// A distinguishable colour for class `index` (Okabe-Ito, then a golden-angle hue walk).
std::array<std::uint8_t, 3> class_color(std::int64_t index);
/// Reads "#rrggbb".
std::array<std::uint8_t, 3> color_from_text(const std::string& text);

}  // namespace triptych
