// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/image/geometry.h"

#include <cstdint>
#include <string>
#include <vector>

#include <Eigen/Core>

namespace triptych {

/// A set of parallel planes through a volume, in voxel index space [D, H, W] = (p, r, c).
///
/// Axis-aligned sets: S_rc (slicing axis 0), S_pc (axis 1), S_pr (axis 2), rows and columns as in
/// sliced_along. Oblique sets come from turning the volume by 45 degrees about one of its axes
/// (Baltruschat et al. 2021): each turn gives three sets of which one is a known one, so 3 + 6 = 9.
/// A plane's pixel (i, j) of slice s samples the volume at origin + s * normal + i * row + j *
/// column (unit steps in voxels), so no rotated copy of the volume is made. The grids of oblique
/// sets are centred on the volume and grown so that nothing of it is cut off.
struct PlaneSet {
  std::string name;  ///< "rc", "pc", "pr"; "pc+45p" = S_pc turned by 45 degrees about p, as printed
                     ///< in tables
  Eigen::Vector3d origin;               ///< (p, r, c) of pixel (0, 0) of slice 0, in voxels
  Eigen::Vector3d normal, row, column;  ///< orthonormal
  std::int64_t slices = 0, rows = 0, columns = 0;
  bool axis_aligned = true;
  int axis = 0;  ///< slicing axis of an axis-aligned set

  Eigen::Vector3d position(double slice, double i, double j) const {
    return origin + slice * normal + i * row + j * column;
  }
};

/// `count` is 1 (S_rc), 3 or 9; throws a usage_error otherwise.
std::vector<PlaneSet> make_plane_sets(const Index3& shape, int count);

/// Pixels of a slice: rows [row, row + rows) and columns [column, column + columns).
struct SliceWindow {
  std::int64_t row = 0, column = 0, rows = 0, columns = 0;
  bool empty() const { return rows == 0; }
  bool operator==(const SliceWindow&) const = default;
};

/// The smallest window of slice `slice` that holds every pixel lying in the volume; the corners
/// that an oblique grid grew by need no prediction. Empty when the slice passes the volume by.
SliceWindow window_in_volume(const PlaneSet& planes, const Index3& shape, std::int64_t slice);

/// A pixel lies in the volume when its position is between the outer voxel centres, up to this
/// fraction of a voxel.
inline constexpr double kInsideTolerance = 1e-6;

/// Throws geometry_error unless the spacings of all axes longer than one voxel agree within
/// `tolerance` (relative): slices along several axes, and turned ones, need cubic voxels. A grid of
/// unknown spacing counts as cubic.
void check_isotropic(const Geometry& geometry, double tolerance = 0.05);

}  // namespace triptych
