// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/synthetic_deformation.h"

#include "framework/ops/scalar_grid.h"

#include <cmath>
#include <numbers>

#include <ATen/ATen.h>
#include <Eigen/Geometry>

namespace triptych {

DeformationParameters deformation_parameters(const MotionOptions& options,
                                             double field_of_view_mm) {
  DeformationParameters parameters;
  parameters.rotation_rad = options.rotation_deg * std::numbers::pi / 180.0;
  parameters.translation_mm = options.translation * field_of_view_mm;
  parameters.smooth_mm = options.smooth * field_of_view_mm;
  parameters.smooth_cell_mm = 0.35 * field_of_view_mm;
  return parameters;
}

SmoothRigidDeformation::SmoothRigidDeformation(const DeformationParameters& parameters,
                                               RandomStream stream)
    : parameters_(parameters),
      smooth_{NoiseField(stream.derive("smooth x"), parameters.smooth_cell_mm),
              NoiseField(stream.derive("smooth y"), parameters.smooth_cell_mm),
              NoiseField(stream.derive("smooth z"), parameters.smooth_cell_mm)} {
  RandomStream rigid = stream.derive("rigid");
  const double height = rigid.uniform(-1.0, 1.0);
  const double turn = rigid.uniform(0.0, 2.0 * std::numbers::pi);
  const double across = std::sqrt(1.0 - height * height);
  const Eigen::Vector3d axis(across * std::cos(turn), across * std::sin(turn), height);
  const double angle = parameters.rotation_rad * rigid.uniform(0.5, 1.0);
  rotation_ = Eigen::AngleAxisd(angle, axis).toRotationMatrix();
  for (int i = 0; i < 3; ++i)
    translation_[i] = parameters.translation_mm * rigid.uniform(-1.0, 1.0);
}

Eigen::Vector3d SmoothRigidDeformation::smooth(const Eigen::Vector3d& fixed) const {
  const Point3f p{
      static_cast<float>(fixed.x()), static_cast<float>(fixed.y()), static_cast<float>(fixed.z())};
  return parameters_.smooth_mm *
         Eigen::Vector3d(smooth_[0].at(p), smooth_[1].at(p), smooth_[2].at(p));
}

Eigen::Vector3d SmoothRigidDeformation::map(const Eigen::Vector3d& fixed) const {
  const Eigen::Vector3d& centre = parameters_.centre_mm;
  return centre + rotation_ * (fixed - centre) + translation_ + smooth(fixed);
}

Eigen::Vector3d SmoothRigidDeformation::inverse(const Eigen::Vector3d& moving,
                                                const Eigen::Vector3d& guess) const {
  constexpr int kMostSteps = 30;
  const double tolerance = 1e-4 * parameters_.smooth_cell_mm;
  const Eigen::Vector3d& centre = parameters_.centre_mm;
  Eigen::Vector3d fixed = guess;
  for (int step = 0; step < kMostSteps; ++step) {
    const Eigen::Vector3d next =
        centre + rotation_.transpose() * (moving - translation_ - smooth(fixed) - centre);
    const double moved = (next - fixed).norm();
    fixed = next;
    if (moved < tolerance) break;
  }
  return fixed;
}

at::Tensor displacement_field(const SmoothRigidDeformation& deformation, const Geometry& grid) {
  at::Tensor field = at::empty({3, grid.shape[0], grid.shape[1], grid.shape[2]}, at::kFloat);
  float* out = field.data_ptr<float>();
  const std::int64_t voxels = grid.voxels();
  for_each_row(grid, [&](const GridRow& row) {
    for (std::int64_t w = 0; w < row.length; ++w) {
      const Eigen::Vector3d fixed = grid.world_from_index(
          {static_cast<double>(w), static_cast<double>(row.line), static_cast<double>(row.plane)});
      const Eigen::Vector3f u = deformation.displacement(fixed).cast<float>();
      for (std::int64_t c = 0; c < 3; ++c) out[c * voxels + row.offset + w] = u[c];
    }
  });
  return field;
}

}  // namespace triptych
