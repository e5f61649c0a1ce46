// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/image/spatial_transform.h"

namespace triptych {

/// A transform the other way: positions of the moving image's space to those of the fixed one's.
///
/// Stages are undone in reverse order, affine maps exactly and displacement fields at every point
/// by itself: x <- y - u(x) (Chen et al., A simple fixed-point approach to invert a deformation
/// field, 2008) until x + u(x) is within 1e-6 of y, or for 100 steps, of which the best is taken.
/// That converges where u changes by less than the distance between two points.
class InverseMap {
 public:
  /// Throws numeric_error for an affine map without an inverse.
  explicit InverseMap(const SpatialTransform& transform);

  Eigen::Vector3d operator()(const Eigen::Vector3d& moving_mm) const;

 private:
  std::vector<SpatialTransform::Stage> stages_;  ///< last one first; affine maps inverted
};

}  // namespace triptych
