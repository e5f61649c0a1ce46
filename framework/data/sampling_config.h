// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/config/fields.h"

#include <cstdint>
#include <string>
#include <vector>

namespace triptych {

/// What a training item is and how it is drawn.
struct SamplingConfig {
  std::string items = "slices";
  std::vector<std::int64_t> axes = {0, 1, 2};
  std::int64_t slab = 1;
  std::vector<std::int64_t> patch = {64, 64, 64};
  double class_balanced = 0.0;
  double min_foreground = 0.0;

  void visit(auto& field) {
    field("items", items, "what an item is", config::OneOf{"slices", "patches", "volumes"});
    field(
        "axes", axes, "slicing axes that give items (0 = D, 1 = H, 2 = W)", config::Between{0, 2});
    field("slab",
          slab,
          "neighbouring slices of an item, odd; 1 = 2D, more = 2.5D",
          config::AtLeast{1});
    field("patch",
          patch,
          "size of a patch in voxels [D, H, W]",
          config::AtLeast{1},
          config::Length{3});
    field("class_balanced",
          class_balanced,
          "fraction of items drawn around a class chosen uniformly",
          config::Between{0.0, 1.0});
    field("min_foreground",
          min_foreground,
          "slices with a smaller fraction of non-background label are left out (training)",
          config::Between{0.0, 1.0});
  }

  /// Throws ConfigError when fields contradict one another, or ask for a label entry where `label`
  /// is empty.
  void check(const std::string& label) const;
};

}  // namespace triptych
