// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include <Eigen/Core>

namespace triptych {

/// Sizes or indices of the three spatial axes in tensor order [D, H, W], that is ITK's [z, y, x].
using Index3 = std::array<std::int64_t, 3>;

/// A box of voxels in tensor order [D, H, W].
struct Region {
  Index3 start{0, 0, 0};
  Index3 size{0, 0, 0};

  std::int64_t voxels() const { return size[0] * size[1] * size[2]; }
  bool operator==(const Region&) const = default;
};

/// Where a grid of voxels lies in the world: ITK's LPS frame, millimetres.
///
/// Vectors and matrices are in ITK's order (x, y, z), `shape` in tensor order [D, H, W]. The centre
/// of voxel (x, y, z) = (0, 0, 0) lies at `origin`; world = origin + direction * (spacing .*
/// index). A 2D image has D = 1. A file without spacing (PNG, bare TIFF) gives `spacing_known =
/// false`; then spacing is 1 and lengths are pixels.
struct Geometry {
  Index3 shape{1, 1, 1};
  Eigen::Vector3d spacing = Eigen::Vector3d::Ones();
  Eigen::Vector3d origin = Eigen::Vector3d::Zero();
  Eigen::Matrix3d direction = Eigen::Matrix3d::Identity();
  bool spacing_known = true;

  /// World position in mm (LPS) of a continuous voxel index in ITK order (x, y, z).
  Eigen::Vector3d world_from_index(const Eigen::Vector3d& index_xyz) const;
  /// Continuous voxel index in ITK order (x, y, z) of a world position in mm (LPS).
  Eigen::Vector3d index_from_world(const Eigen::Vector3d& world_mm) const;
  /// Direction times spacing: columns are the world steps of one voxel along x, y, z.
  Eigen::Matrix3d step_mm() const { return direction * spacing.asDiagonal(); }

  std::int64_t voxels() const { return shape[0] * shape[1] * shape[2]; }
  bool is_2d() const { return shape[0] == 1; }
  /// Largest over smallest spacing of the axes longer than one voxel.
  double anisotropy() const;

  /// The part of this grid inside `region`; its origin moves, spacing and direction stay.
  Geometry cropped(const Region& region) const;
  /// Same field of view on a grid of `spacing_mm` (x, y, z): size rounds up, the outer faces' start
  /// corner stays.
  Geometry resampled_to(const Eigen::Vector3d& spacing_mm) const;

  /// "170x170x147 voxels of 0.141x0.141x0.141 mm, origin (..), direction LPS" (x, y, z order).
  std::string text() const;
  /// Three letters such as RAS: the world direction in which x, y and z grow; "oblique LPS" when
  /// not axis-aligned.
  std::string orientation() const;
};

/// Equal shape, and spacing, origin and direction within `tolerance` (fraction of a voxel;
/// directions absolute).
bool same_grid(const Geometry& a, const Geometry& b, double tolerance = 1e-3);

/// Throws geometry_error naming both and every attribute that differs unless `same_grid(a, b)`.
void check_same_grid(const Geometry& a,
                     const std::string& name_a,
                     const Geometry& b,
                     const std::string& name_b);

/// Throws geometry_error unless spacing is positive and finite, and the direction matrix is
/// orthonormal (1e-3).
void check_valid(const Geometry& geometry, const std::string& name);

}  // namespace triptych
