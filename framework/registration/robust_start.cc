// SPDX-License-Identifier: Apache-2.0
#include "framework/registration/robust_start.h"

namespace triptych {

namespace {

/// The middle of a grid's field of view, in mm.
Eigen::Vector3d centre_mm(const Geometry& grid) {
  const Eigen::Vector3d last(static_cast<double>(grid.shape[2] - 1),
                             static_cast<double>(grid.shape[1] - 1),
                             static_cast<double>(grid.shape[0] - 1));
  return grid.world_from_index(0.5 * last);
}

}  // namespace

AffineMap robust_start(const RegistrationImage& fixed,
                       const RegistrationImage& moving,
                       const RobustStartOptions& options) {
  if (options.model == "none") return {};
  return {Eigen::Matrix3d::Identity(), centre_mm(moving.geometry) - centre_mm(fixed.geometry)};
}

}  // namespace triptych
