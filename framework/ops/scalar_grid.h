// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/image/geometry.h"
#include "framework/ops/noise_field.h"

#include <array>
#include <cstdint>
#include <functional>
#include <vector>

namespace triptych {

/// One scalar per voxel of a grid in a plain buffer: index (d * H + h) * W + w, W fastest.
struct ScalarGrid {
  Geometry geometry;
  std::vector<float> values;
};

/// A row of voxels along W: where its values begin and where it lies (mm).
struct GridRow {
  std::int64_t plane = 0;   ///< index along D
  std::int64_t line = 0;    ///< index along H
  std::int64_t offset = 0;  ///< of the first voxel
  std::int64_t length = 0;
  Point3f start;  ///< centre of the first voxel
  Point3f step;   ///< from one voxel to the next

  Point3f at(std::int64_t w) const {
    const auto t = static_cast<float>(w);
    return {start.x + t * step.x, start.y + t * step.y, start.z + t * step.z};
  }
};

/// Calls `body` for every row of a grid, in parallel; rows must not depend on one another.
void for_each_row(const Geometry& geometry, const std::function<void(const GridRow&)>& body);

/// Gaussian smoothing with the standard deviation of each axis D, H, W in voxels (0 = none); the
/// border is repeated.
void blur(ScalarGrid& grid, const std::array<double, 3>& sigma_voxel);

/// Adds `amount` times the negative discrete Laplacian (six neighbours; border repeated): bright
/// and dark fringes along edges.
void enhance_edges(ScalarGrid& grid, double amount);

/// Linear interpolation at the voxel centres of `target` (parallel axes); outside, the border is
/// repeated. No smoothing.
ScalarGrid sample_linear(const ScalarGrid& source, const Geometry& target);

/// `source` as an imager of the coarser voxels of `target` sees it: smoothed by the Gaussian of
/// their sensitivity, sigma = sqrt(factor^2 - 1) / 2 voxels of `source`, at least `least_sigma`,
/// then sampled.
ScalarGrid coarsened(ScalarGrid source, const Geometry& target, double least_sigma = 0.0);

/// Shortest side in mm among the axes longer than a voxel.
double field_of_view_mm(const Geometry& geometry);

/// The nearest index in `source` for every index of `target` (parallel axes) along D, H and W,
/// clamped to the grid.
std::array<std::vector<std::int64_t>, 3> nearest_indices(const Geometry& source,
                                                         const Geometry& target);

}  // namespace triptych
