// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/image/spatial_transform.h"
#include "framework/registration/registration_image.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include <ATen/ATen.h>
#include <Eigen/Geometry>

namespace triptych {

/// Grey values by position in mm: a body of about 60 x 42 x 32 mm without any symmetry, about the
/// origin. Borders are 3 mm wide.
inline double body_value(const Eigen::Vector3d& mm) {
  struct Part {
    Eigen::Vector3d centre, radii;
    double value;
  };
  static const std::vector<Part> parts{{{0, 0, 0}, {30, 21, 16}, 0.45},
                                       {{14, 7, 3}, {8, 6, 6}, 0.4},
                                       {{-15, -6, -2}, {6, 9, 5}, -0.35},
                                       {{2, -11, 6}, {12, 4, 4}, 0.3},
                                       {{-9, 9, -5}, {5, 5, 7}, 0.5},
                                       {{20, -7, -5}, {4, 5, 5}, -0.3},
                                       {{-24, 5, 1}, {9, 10, 8}, 0.35}};
  double value = 0.0;
  for (const Part& part : parts) {
    const double r = (mm - part.centre).cwiseQuotient(part.radii).norm();
    value += part.value * std::clamp(0.5 - (r - 1.0) * part.radii.minCoeff() / 3.0, 0.0, 1.0);
  }
  return value;
}

/// A grid of `shape` [D, H, W] about the origin.
inline Geometry centred_grid(const Index3& shape,
                             const Eigen::Vector3d& spacing,
                             const Eigen::Matrix3d& direction = Eigen::Matrix3d::Identity()) {
  Geometry grid;
  grid.shape = shape;
  grid.spacing = spacing;
  grid.direction = direction;
  const Eigen::Vector3d last(static_cast<double>(shape[2] - 1),
                             static_cast<double>(shape[1] - 1),
                             static_cast<double>(shape[0] - 1));
  grid.origin = -grid.step_mm() * last * 0.5;
  return grid;
}

using GreyFunction = std::function<double(const Eigen::Vector3d& mm)>;

inline RegistrationImage sampled_image(const GreyFunction& function, const Geometry& grid) {
  at::Tensor values = at::empty({1, 1, grid.shape[0], grid.shape[1], grid.shape[2]}, at::kFloat);
  float* v = values.data_ptr<float>();
  for (std::int64_t z = 0; z < grid.shape[0]; ++z) {
    for (std::int64_t y = 0; y < grid.shape[1]; ++y) {
      for (std::int64_t x = 0; x < grid.shape[2]; ++x) {
        const Eigen::Vector3d index(
            static_cast<double>(x), static_cast<double>(y), static_cast<double>(z));
        *v++ = static_cast<float>(function(grid.world_from_index(index)));
      }
    }
  }
  return {values, grid, {}};
}

/// The body as it lies in the moving space of `moving_from_fixed`.
inline RegistrationImage moved_body(const AffineMap& moving_from_fixed, const Geometry& grid) {
  const AffineMap back = moving_from_fixed.inverse();
  return sampled_image([&](const Eigen::Vector3d& mm) { return body_value(back.map(mm)); }, grid);
}

/// Mean distance in mm between where two maps bring positions spread over the body.
inline double body_error_mm(const AffineMap& found, const AffineMap& truth) {
  double sum = 0.0;
  for (int corner = 0; corner < 8; ++corner) {
    const Eigen::Vector3d position(
        corner & 1 ? 20.0 : -20.0, corner & 2 ? 14.0 : -14.0, corner & 4 ? 10.0 : -10.0);
    sum += (found.map(position) - truth.map(position)).norm();
  }
  return sum / 8.0;
}

inline AffineMap turned(double angle_deg,
                        const Eigen::Vector3d& axis,
                        const Eigen::Vector3d& shift_mm,
                        double scale = 1.0) {
  const double angle_rad = angle_deg * 3.14159265358979323846 / 180.0;
  return {scale * Eigen::AngleAxisd(angle_rad, axis.normalized()).toRotationMatrix(), shift_mm};
}

}  // namespace triptych
