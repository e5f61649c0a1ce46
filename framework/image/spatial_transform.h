// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/image/geometry.h"

#include <string>
#include <variant>
#include <vector>

#include <ATen/core/Tensor.h>
#include <Eigen/Core>

namespace triptych {

// Transforms are `moving_from_fixed`: they map a position in the fixed image's space to that in the
// moving image's, in mm (LPS), as ITK's resampling does.

/// y = matrix * x + offset.
struct AffineMap {
  Eigen::Matrix3d matrix = Eigen::Matrix3d::Identity();
  Eigen::Vector3d offset = Eigen::Vector3d::Zero();

  Eigen::Vector3d map(const Eigen::Vector3d& fixed_mm) const { return matrix * fixed_mm + offset; }
  /// Throws numeric_error when the matrix has no inverse.
  AffineMap inverse() const;
  /// matrix * (x - centre) + centre + translation.
  static AffineMap about(const Eigen::Vector3d& centre_mm,
                         const Eigen::Matrix3d& matrix,
                         const Eigen::Vector3d& translation_mm);
};

/// First `inner`, then `outer`.
AffineMap compose(const AffineMap& outer, const AffineMap& inner);

/// x + u(x): u float32 or float64 [3, D, H, W] on the CPU, components x, y, z in mm (LPS), on
/// `geometry`; linear between voxel centres. Positions beyond the voxels' centres by more than half
/// a voxel stay where they are, as in ITK; within half a voxel the edge's displacement holds.
struct DisplacementField {
  Geometry geometry;
  at::Tensor displacement_mm;

  Eigen::Vector3d map(const Eigen::Vector3d& fixed_mm) const;
};

/// Affine maps and displacement fields one after the other.
class SpatialTransform {
 public:
  using Stage = std::variant<AffineMap, DisplacementField>;

  SpatialTransform() = default;
  /// `stages` in the order in which they are applied; neighbouring affine maps become one. Throws
  /// shape_error for a field that does not fit its geometry.
  explicit SpatialTransform(std::vector<Stage> stages);
  SpatialTransform(const AffineMap& affine) : SpatialTransform(std::vector<Stage>{affine}) {}

  const std::vector<Stage>& stages() const { return stages_; }
  bool is_affine() const;
  /// The one affine map; throws geometry_error when there is a displacement field.
  AffineMap affine() const;

  Eigen::Vector3d map(const Eigen::Vector3d& fixed_mm) const;

 private:
  std::vector<Stage> stages_;
};

/// First `inner`, then `outer`.
SpatialTransform compose(const SpatialTransform& outer, const SpatialTransform& inner);

/// The whole chain as one displacement at the voxel centres of `grid`, float32 [3, D, H, W] in mm
/// (LPS): what an image must be warped by to be resampled only once.
at::Tensor displacement_on(const SpatialTransform& transform, const Geometry& grid);

}  // namespace triptych
