// SPDX-License-Identifier: Apache-2.0
#include "framework/infer/infer_config.h"

#include "framework/core/error.h"
#include "framework/data/volume_store.h"

namespace triptych {

void InferConfig::validate(config::Problems& problems) const {
  if (planes != 1 && planes != 3 && planes != 9)
    problems.add("planes", fmt::format("must be 1, 3 or 9, got {}", planes));
  if (outputs.empty()) problems.add("outputs", "must name at least one output");
  try {
    bytes_from_text(memory);
  } catch (const Error& error) {
    problems.add("memory", error.what());
  }
}

}  // namespace triptych
