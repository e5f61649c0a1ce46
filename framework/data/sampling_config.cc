// SPDX-License-Identifier: Apache-2.0
#include "framework/data/sampling_config.h"

#include "framework/core/error.h"

namespace triptych {

void SamplingConfig::check(const std::string& label) const {
  const auto fail = [](const std::string& message, const std::string& hint) {
    throw ConfigError("schema", message, hint);
  };
  if (axes.empty()) fail("sampling.axes: expected at least one axis", "axes: [0, 1, 2]");
  if (slab % 2 == 0) {
    fail(fmt::format("sampling.slab: expected an odd number of slices, got {}", slab),
         "the middle slice is the item");
  }
  if (slab > 1 && items != "slices") {
    fail(fmt::format("sampling.slab: expected 1 with items: {}, got {}", items, slab),
         "slabs are made of slices");
  }
  if ((class_balanced > 0.0 || min_foreground > 0.0) && label.empty()) {
    fail("sampling: class_balanced and min_foreground need a label entry", "set both to 0");
  }
}

}  // namespace triptych
