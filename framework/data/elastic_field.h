// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/image/geometry.h"

#include <vector>

#include <Eigen/Core>

namespace triptych {

/// A smooth displacement of the voxels of a grid: a uniform cubic B-spline over a coarse grid of
/// control points.
///
/// Along an axis of n voxels, `cells` control cells span the grid from its outer face to the other
/// (cells + 3 control points); 0 cells mean that the displacement does not change along the axis.
/// Positions beyond the grid take the displacement of its face. With coefficients of at most 0.4
/// cells the deformation x + u(x) has no folds (Choi and Lee, Injectivity conditions of 2D and 3D
/// uniform cubic B-spline functions, 2000).
class ElasticField {
 public:
  /// `coefficients`: for each component x, y, z a block [D, H, W] of control values in voxels.
  ElasticField(const Index3& grid, const Index3& cells, std::vector<double> coefficients);

  /// Number of coefficients that `cells` need.
  static std::size_t coefficient_count(const Index3& cells);
  static constexpr double kLargestCoefficient = 0.4;  ///< in cells

  /// Displacement (x, y, z) in voxels at a continuous voxel index (x, y, z).
  Eigen::Vector3d at(const Eigen::Vector3d& index_xyz) const;
  /// Displacements at the voxels (0..n-1, y, z) of one row: contracts the control grid along z and
  /// y once for the row.
  void row(double y, double z, std::vector<Eigen::Vector3d>& result) const;

 private:
  struct Taps {
    std::int64_t first = 0;
    int count = 1;
    double weight[4] = {1.0, 0.0, 0.0, 0.0};
  };
  Taps taps(int axis, double position) const;
  /// Control values along x for one (y, z): 3 values a control point.
  std::vector<Eigen::Vector3d> contracted(double y, double z) const;

  Index3 grid_;
  Index3 cells_;
  Index3 points_;
  std::vector<double> coefficients_;
};

}  // namespace triptych
