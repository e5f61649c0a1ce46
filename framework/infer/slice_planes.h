// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <Eigen/Core>

#include "framework/image/geometry.h"

namespace triptych {

/// A set of parallel planes through a volume, in voxel index space [D, H, W] = (p, r, c).
///
/// Axis-aligned sets: S_rc (slicing axis 0), S_pc (axis 1), S_pr (axis 2), rows and columns as in sliced_along.
/// Oblique sets come from turning the volume by 45 degrees about one of its axes (Baltruschat et al. 2021): each turn gives
/// three sets of which one is a known one, so 3 + 6 = 9. A plane's pixel (i, j) of slice s samples the volume at
/// origin + s * normal + i * row + j * column (unit steps in voxels), so no rotated copy of the volume is made.
struct PlaneSet {
  std::string name;  ///< "rc", "pc", "pr", "rc+45p", ... as printed in tables
  Eigen::Vector3d origin;   ///< (p, r, c) of pixel (0, 0) of slice 0, in voxels
  Eigen::Vector3d normal, row, column;
  std::int64_t slices = 0, rows = 0, columns = 0;
  bool axis_aligned = true;
  int axis = 0;  ///< slicing axis of an axis-aligned set
};

/// `count` is 1 (S_rc), 3 or 9. Oblique grids are grown so that nothing of the volume is cut off.
std::vector<PlaneSet> make_plane_sets(const Index3& shape, int count);

}  // namespace triptych
