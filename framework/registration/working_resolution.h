// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/image/io.h"

namespace triptych {

/// Voxels [D, H, W] of an image that become one, so that at most `most_voxels` are left: as equal
/// steps in mm along the axes as whole numbers allow, 1 for an axis of few voxels and of steps that
/// are large already.
Index3 pooling_factors(const Geometry& grid, std::int64_t most_voxels);

/// Means over blocks of `factors` voxels on pooled_grid (ops/convex_search.h), float32, all
/// channels, read in slabs of some tens of MB. NaN and infinity stay visible in the mean.
Volume pooled(const VolumeSource& image, const Index3& factors);

}  // namespace triptych
