// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/config/rules.h"
#include "framework/image/geometry.h"
#include "framework/ops/noise_field.h"

#include <array>

#include <ATen/core/Tensor.h>
#include <Eigen/Core>

namespace triptych {

/// Motion between two time points, in fractions of the field of view.
struct MotionOptions {
  double rotation_deg = 5.0;
  double translation = 0.03;
  double smooth = 0.008;

  void visit(auto& field) {
    field("rotation_deg",
          rotation_deg,
          "largest rotation between the time points",
          config::Between{0.0, 180.0});
    field("translation",
          translation,
          "largest shift along each axis, relative to the field of view",
          config::Between{0.0, 0.5});
    field("smooth",
          smooth,
          "standard deviation of the smooth displacement, relative to the field of view",
          config::Between{0.0, 0.03});
  }
};

/// A random rigid motion about a centre plus a smooth displacement. World LPS, mm.
struct DeformationParameters {
  Eigen::Vector3d centre_mm = Eigen::Vector3d::Zero();
  double rotation_rad = 0.07;   ///< largest angle; the axis is uniform over the sphere
  double translation_mm = 0.1;  ///< largest shift along each axis
  double smooth_mm = 0.05;      ///< standard deviation of each smooth component
  double smooth_cell_mm = 1.0;  ///< over which the smooth part varies
};

DeformationParameters deformation_parameters(const MotionOptions& options, double field_of_view_mm);

/// moving_from_fixed: x_moving = centre + R (x - centre) + t + s(x), with x in the fixed image's
/// space.
///
/// Free of folds as long as smooth_mm is below about a tenth of smooth_cell_mm. Then `inverse`
/// converges.
class SmoothRigidDeformation {
 public:
  SmoothRigidDeformation(const DeformationParameters& parameters, RandomStream stream);

  /// x_moving of a fixed position.
  Eigen::Vector3d map(const Eigen::Vector3d& fixed) const;
  /// x_moving - x_fixed.
  Eigen::Vector3d displacement(const Eigen::Vector3d& fixed) const { return map(fixed) - fixed; }
  /// The fixed position that maps to `moving`; fixed-point iteration from `guess` until a step is
  /// below 1e-4 of smooth_cell_mm.
  Eigen::Vector3d inverse(const Eigen::Vector3d& moving, const Eigen::Vector3d& guess) const;

 private:
  Eigen::Vector3d smooth(const Eigen::Vector3d& fixed) const;

  DeformationParameters parameters_;
  Eigen::Matrix3d rotation_;
  Eigen::Vector3d translation_;
  std::array<NoiseField, 3> smooth_;
};

/// The displacement at the voxel centres of a grid in the fixed space: [3, D, H, W] float32,
/// components x, y, z in mm (LPS).
at::Tensor displacement_field(const SmoothRigidDeformation& deformation, const Geometry& grid);

}  // namespace triptych
