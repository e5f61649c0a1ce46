// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/data/dataset.h"

namespace triptych {

/// The grid over the same field of view that has `factor` [D, H, W] voxels for each voxel of
/// `grid`.
Geometry finer_grid(const Geometry& grid, const Index3& factor);

/// An entry (no points, no projections) of a sample at the voxel centres of `grid`: linearly,
/// labels by nearest neighbour, without smoothing. Reads only what lies under `grid`. Beyond the
/// entry's own grid images repeat their edge and labels are -1; geometry_error when none of it lies
/// within.
Entry sampled_on(const Dataset& dataset,
                 std::size_t sample,
                 const EntrySpec& entry,
                 const Geometry& grid);

}  // namespace triptych
