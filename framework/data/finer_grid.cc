// SPDX-License-Identifier: Apache-2.0
#include "framework/data/finer_grid.h"

#include "framework/core/error.h"
#include "framework/data/move_entries.h"

#include <algorithm>
#include <cmath>

#include <Eigen/LU>

namespace triptych {
namespace {

/// The voxels of `grid` that linear interpolation at the voxel centres of `target` may need.
Region part_under(const Geometry& target, const Geometry& grid, const std::string& entry) {
  Eigen::Vector3d low = Eigen::Vector3d::Constant(1e30), high = -low;
  for (int corner = 0; corner < 8; ++corner) {
    Eigen::Vector3d index;
    for (int axis = 0; axis < 3; ++axis) {
      const std::int64_t last = target.shape[static_cast<std::size_t>(2 - axis)] - 1;
      index[axis] = (corner >> axis & 1) != 0 ? static_cast<double>(last) : 0.0;
    }
    const Eigen::Vector3d place = grid.index_from_world(target.world_from_index(index));
    low = low.cwiseMin(place);
    high = high.cwiseMax(place);
  }
  Region part;
  for (int axis = 0; axis < 3; ++axis) {
    const auto a = static_cast<std::size_t>(2 - axis);
    const std::int64_t last = grid.shape[a] - 1;
    if (high[axis] < -0.5 || low[axis] > static_cast<double>(last) + 0.5) {
      throw geometry_error(
          fmt::format("entry '{}' lies outside the grid that is asked for in the "
                      "world: expected {}, got {}",
                      entry,
                      target.text(),
                      grid.text()));
    }
    const auto begin = static_cast<std::int64_t>(std::floor(low[axis]));
    const auto end = static_cast<std::int64_t>(std::ceil(high[axis]));
    part.start[a] = std::clamp<std::int64_t>(begin, 0, last);
    part.size[a] = std::clamp<std::int64_t>(end, 0, last) - part.start[a] + 1;
  }
  return part;
}

}  // namespace

Geometry finer_grid(const Geometry& grid, const Index3& factor) {
  Geometry finer = grid;
  Eigen::Vector3d first;  // centre of the first fine voxel, in coarse voxels
  for (int axis = 0; axis < 3; ++axis) {
    const auto a = static_cast<std::size_t>(2 - axis);
    const auto parts = static_cast<double>(factor[a]);
    finer.shape[a] = grid.shape[a] * factor[a];
    finer.spacing[axis] = grid.spacing[axis] / parts;
    first[axis] = 0.5 / parts - 0.5;
  }
  finer.origin = grid.world_from_index(first);
  return finer;
}

Entry sampled_on(const Dataset& dataset,
                 std::size_t sample,
                 const EntrySpec& entry,
                 const Geometry& grid) {
  TRIPTYCH_ASSERT(entry.kind != EntryKind::kPoints && entry.kind != EntryKind::kProjections);
  Sample alone;
  alone.id = dataset.samples().at(sample).id;
  Entry& moved = alone.entries[entry.name];
  moved = dataset.read(sample, entry.name, part_under(grid, entry.geometry, entry.name));
  GridMap map;
  map.input = moved.geometry;
  map.output = grid;
  map.matrix = moved.geometry.step_mm().inverse() * grid.step_mm();
  map.offset = moved.geometry.index_from_world(grid.origin);
  move_entries(alone, {{moved.frame, map}}, LabelOutside::kIgnore);
  return moved;
}

}  // namespace triptych
