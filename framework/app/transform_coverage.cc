// SPDX-License-Identifier: Apache-2.0
#include "framework/app/transform_coverage.h"

#include "framework/core/error.h"
#include "framework/core/log.h"

#include <algorithm>

namespace triptych::app {

PointList lattice_of(const Geometry& grid, std::int64_t per_axis) {
  PointList points;
  Index3 step;
  for (std::size_t axis = 0; axis < 3; ++axis)
    step[axis] = std::max<std::int64_t>(1, grid.shape[axis] / per_axis);
  for (std::int64_t d = 0; d < grid.shape[0]; d += step[0]) {
    for (std::int64_t h = 0; h < grid.shape[1]; h += step[1]) {
      for (std::int64_t w = 0; w < grid.shape[2]; w += step[2]) {
        points.push_back(grid.world_from_index(
            {static_cast<double>(w), static_cast<double>(h), static_cast<double>(d)}));
      }
    }
  }
  return points;
}

namespace {

bool lies_on(const Geometry& grid, const Eigen::Vector3d& position_mm, std::int64_t thinnest) {
  const Eigen::Vector3d index = grid.index_from_world(position_mm);
  for (int axis = 0; axis < 3; ++axis) {
    const std::int64_t size = grid.shape[static_cast<std::size_t>(2 - axis)];
    const bool inside = index[axis] >= -0.5 && index[axis] <= static_cast<double>(size) - 0.5;
    if (size >= thinnest && !inside) return false;
  }
  return true;
}

}  // namespace

bool contains(const Geometry& grid, const Eigen::Vector3d& position_mm) {
  return lies_on(grid, position_mm, 1);
}

bool shows(const Geometry& grid, const Eigen::Vector3d& position_mm) {
  return lies_on(grid, position_mm, 2);
}

void check_covers(const SpatialTransform& transform, PointList points, const std::string& file) {
  for (const SpatialTransform::Stage& stage : transform.stages()) {
    if (const auto* field = std::get_if<DisplacementField>(&stage)) {
      const auto outside = std::count_if(points.begin(), points.end(), [&](const auto& point) {
        return !contains(field->geometry, point);
      });
      if (outside == static_cast<std::ptrdiff_t>(points.size())) {
        throw geometry_error(
            fmt::format("{}: expected a displacement field where the image lies, got one of {} "
                        "that covers none of it",
                        file,
                        field->geometry.text()),
            "is it the transform of another image, or inverse=true missing?");
      }
      if (outside > 0) {
        TRIPTYCH_LOG(
            warning,
            "{}: the displacement field covers {:.3g} % of the grid; nothing is displaced "
            "beyond it",
            file,
            100.0 * (1.0 - static_cast<double>(outside) / static_cast<double>(points.size())));
      }
    }
    for (Eigen::Vector3d& point : points)
      point = std::visit([&](const auto& part) { return part.map(point); }, stage);
  }
}

}  // namespace triptych::app
