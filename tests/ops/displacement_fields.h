// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/image/geometry.h"

#include <functional>

#include <ATen/ATen.h>
#include <Eigen/Core>
#include <Eigen/Geometry>

namespace triptych::testing {

/// An oblique grid of unequal spacings.
inline Geometry oblique_grid(const Index3& shape) {
  Geometry grid;
  grid.shape = shape;
  grid.spacing = {0.5, 0.8, 1.25};
  grid.origin = {-3.0, 7.0, 11.0};
  grid.direction = Eigen::AngleAxisd(0.4, Eigen::Vector3d(1, 2, -1).normalized()).matrix();
  return grid;
}

/// u(x) at the voxel centres: [1, 3, D, H, W] float64, x in mm.
inline at::Tensor field_of(const Geometry& grid,
                           const std::function<Eigen::Vector3d(const Eigen::Vector3d&)>& u) {
  at::Tensor field = at::empty({1, 3, grid.shape[0], grid.shape[1], grid.shape[2]}, at::kDouble);
  auto values = field.accessor<double, 5>();
  for (std::int64_t z = 0; z < grid.shape[0]; ++z) {
    for (std::int64_t y = 0; y < grid.shape[1]; ++y) {
      for (std::int64_t x = 0; x < grid.shape[2]; ++x) {
        const Eigen::Vector3d vector = u(grid.world_from_index(
            {static_cast<double>(x), static_cast<double>(y), static_cast<double>(z)}));
        for (int c = 0; c < 3; ++c) values[0][c][z][y][x] = vector[c];
      }
    }
  }
  return field;
}

/// The world position of the middle of a grid.
inline Eigen::Vector3d middle_of(const Geometry& grid) {
  return grid.world_from_index({0.5 * static_cast<double>(grid.shape[2] - 1),
                                0.5 * static_cast<double>(grid.shape[1] - 1),
                                0.5 * static_cast<double>(grid.shape[0] - 1)});
}

/// Smooth, without folds, zero far from the middle: amplitude * e^(-|x|^2 / (2 sigma^2)) *
/// direction.
inline at::Tensor gaussian_push(const Geometry& grid, double amplitude_mm, double sigma_mm) {
  const Eigen::Vector3d middle = middle_of(grid);
  const Eigen::Vector3d direction = Eigen::Vector3d(1.0, -0.5, 0.7).normalized();
  return field_of(grid, [=](const Eigen::Vector3d& x) -> Eigen::Vector3d {
    const double r2 = (x - middle).squaredNorm() / (sigma_mm * sigma_mm);
    return amplitude_mm * std::exp(-0.5 * r2) * direction;
  });
}

}  // namespace triptych::testing
