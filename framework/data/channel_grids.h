// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/data/sample.h"
#include "framework/ops/scalar_grid.h"

#include <cstdint>
#include <functional>

#include <ATen/core/Tensor.h>

namespace triptych {

/// A new float32 tensor [C, D, H, W]: `change(grid, channel)` of every channel of an entry. The
/// grid has the entry's shape and spacing, its first voxel at the origin and its axes along the
/// world's.
at::Tensor mapped_channels(
    const Entry& entry, const std::function<void(ScalarGrid& grid, std::int64_t channel)>& change);

}  // namespace triptych
