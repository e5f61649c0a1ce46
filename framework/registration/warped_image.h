// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/image/io.h"
#include "framework/image/spatial_transform.h"

#include <functional>

namespace triptych {

/// Positions in the fixed image's space to those in the moving one's, in mm (LPS). Called from
/// several threads at once.
using PointMap = std::function<Eigen::Vector3d(const Eigen::Vector3d& fixed_mm)>;

enum class SampleInterpolation {
  kNearest,  ///< keeps values as they are: labels
  kLinear,
  kCubic,  ///< Keys 1981 (ops/warp.h)
};

/// "nearest", "linear" or "cubic"; anything else throws a usage error.
SampleInterpolation sample_interpolation(const std::string& name);

struct WarpedImageOptions {
  SampleInterpolation interpolation = SampleInterpolation::kLinear;
  /// Value where the moving image has none: more than half a voxel beyond its outermost voxel
  /// centres; within that half voxel the edge is repeated.
  double fill = 0.0;
};

/// Throws usage_error for a `fill` that images of this type cannot hold.
void check_fill(double fill, at::ScalarType type);

/// result(x) = moving(T(x)) at the voxel centres of `grid`, `moving_from_fixed`, in the moving
/// image's type (integers are rounded and clamped to its range) and channels.
///
/// Made piece by piece: a region is cut into tiles, and of the moving image only what lies under a
/// tile is read. Neither image needs to be in memory, and equal values, up to rounding, come
/// whatever the regions. Along an axis of one voxel the moving image is constant (2D). `moving`,
/// and what its `read` refers to, must outlive the result. Throws as check_fill does.
VolumeSource warped_image(const VolumeSource& moving,
                          const PointMap& moving_from_fixed,
                          const Geometry& grid,
                          const WarpedImageOptions& options = {});
VolumeSource warped_image(const VolumeSource& moving,
                          const SpatialTransform& moving_from_fixed,
                          const Geometry& grid,
                          const WarpedImageOptions& options = {});

}  // namespace triptych
