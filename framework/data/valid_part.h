// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/image/geometry.h"

#include <optional>

#include <ATen/core/Tensor.h>

namespace triptych {

/// The part of [N, C, D, H, W] that holds data, as BatchEntry::valid says; nothing = all of it.
inline at::Tensor valid_part(at::Tensor x, const std::optional<Region>& valid) {
  if (!valid) return x;
  for (std::size_t axis = 0; axis < 3; ++axis)
    x = x.narrow(static_cast<std::int64_t>(2 + axis), valid->start[axis], valid->size[axis]);
  return x;
}

}  // namespace triptych
