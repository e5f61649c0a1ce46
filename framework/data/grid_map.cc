// SPDX-License-Identifier: Apache-2.0
#include "framework/data/grid_map.h"

#include "framework/core/error.h"

#include <algorithm>
#include <cmath>

#include <Eigen/LU>

namespace triptych {

Eigen::Vector3d GridMap::bend(const Eigen::Vector3d& output_index) const {
  if (!elastic) return Eigen::Vector3d::Zero();
  if (!elastic_place) return elastic->at(output_index);
  return elastic_place->matrix.inverse() *
         elastic->at(elastic_place->matrix * output_index + elastic_place->offset);
}

Eigen::Vector3d GridMap::input_from_output(const Eigen::Vector3d& index) const {
  return matrix * (index + bend(index)) + offset;
}

Eigen::Vector3d GridMap::output_from_input(const Eigen::Vector3d& index) const {
  const Eigen::Vector3d target = matrix.inverse() * (index - offset);
  if (!elastic) return target;
  // x = target - u(x) contracts: u changes by less than x does wherever the deformation has no
  // folds.
  Eigen::Vector3d x = target;
  for (int i = 0; i < 200; ++i) {
    const Eigen::Vector3d next = target - bend(x);
    const double change = (next - x).norm();
    x = next;
    if (change < 1e-9) break;
  }
  return x;
}

Eigen::Vector3d GridMap::output_world(const Eigen::Vector3d& input_world_mm) const {
  return output.world_from_index(output_from_input(input.index_from_world(input_world_mm)));
}

Eigen::Vector3d GridMap::input_world(const Eigen::Vector3d& output_world_mm) const {
  return input.world_from_index(input_from_output(output.index_from_world(output_world_mm)));
}

Eigen::Matrix3d GridMap::world_jacobian(const Eigen::Vector3d& output_index) const {
  Eigen::Matrix3d deformation = Eigen::Matrix3d::Identity();
  if (elastic) {
    constexpr double kStep = 1e-3;
    for (int axis = 0; axis < 3; ++axis) {
      const Eigen::Vector3d step = kStep * Eigen::Vector3d::Unit(axis);
      deformation.col(axis) +=
          (bend(output_index + step) - bend(output_index - step)) / (2.0 * kStep);
    }
  }
  // d input_world / d output_world, inverted.
  return (input.step_mm() * matrix * deformation * output.step_mm().inverse()).inverse();
}

GridMap permuted_axes(const Geometry& input,
                      const std::array<int, 3>& order,
                      const std::array<bool, 3>& flipped) {
  GridMap map;
  map.input = input;
  map.output = input;
  map.matrix.setZero();
  Eigen::Vector3d input_centre;
  Eigen::Vector3d output_centre;
  for (int out = 0; out < 3; ++out) {
    const auto o = static_cast<std::size_t>(out);
    const int in = order[o];
    const auto size = input.shape[static_cast<std::size_t>(in)];
    map.output.shape[o] = size;
    map.output.spacing[2 - out] = input.spacing[2 - in];
    map.matrix(2 - in, 2 - out) = flipped[o] ? -1.0 : 1.0;
    map.offset[2 - in] = flipped[o] ? static_cast<double>(size - 1) : 0.0;
    output_centre[2 - out] = 0.5 * static_cast<double>(size - 1);
    input_centre[2 - out] = 0.5 * static_cast<double>(input.shape[o] - 1);
  }
  map.output.origin = input.world_from_index(input_centre) - map.output.step_mm() * output_centre;
  return map;
}

namespace {

/// The axis (x, y, z) of `grid` that runs most nearly along a direction of the world.
Eigen::Index axis_along(const Geometry& grid, const Eigen::Vector3d& direction) {
  Eigen::Index axis = 0;
  (grid.direction.transpose() * direction).cwiseAbs().maxCoeff(&axis);
  return axis;
}

double size_of(const Geometry& grid, Eigen::Index axis) {
  return static_cast<double>(grid.shape[static_cast<std::size_t>(2 - axis)]);
}

Eigen::Vector3d centre_index(const Geometry& grid) {
  return 0.5 * (Eigen::Vector3d(size_of(grid, 0), size_of(grid, 1), size_of(grid, 2)) -
                Eigen::Vector3d::Ones());
}

Eigen::Vector3d centre_mm(const Geometry& grid) {
  return grid.world_from_index(centre_index(grid));
}

}  // namespace

GridMap on_grid(const GridMap& map, const Geometry& grid) {
  GridMap own;
  own.input = grid;
  own.output = map.output;
  // d input_world / d output_world of the affine part.
  const Eigen::Matrix3d world = map.input.step_mm() * map.matrix * map.output.step_mm().inverse();
  for (int axis = 0; axis < 3; ++axis) {
    const Eigen::Vector3d content = world * map.output.direction.col(axis);
    const Eigen::Index in = axis_along(grid, content), reference = axis_along(map.input, content);
    own.output.spacing[axis] =
        map.output.spacing[axis] * grid.spacing[in] / map.input.spacing[reference];
    const double size =
        size_of(map.output, axis) * size_of(grid, in) / size_of(map.input, reference);
    own.output.shape[static_cast<std::size_t>(2 - axis)] =
        std::max<std::int64_t>(1, std::llround(size));
    own.smoothing_sigma[static_cast<std::size_t>(2 - in)] =
        map.smoothing_sigma[static_cast<std::size_t>(2 - reference)];
  }
  const Eigen::Vector3d centre =
      centre_mm(map.output) + world.inverse() * (centre_mm(grid) - centre_mm(map.input));
  own.output.origin = centre - own.output.step_mm() * centre_index(own.output);

  // index of `grid` <- index of map.input <- index of map.output <- own output index
  const Eigen::Matrix3d to_map = map.output.step_mm().inverse() * own.output.step_mm();
  const Eigen::Vector3d to_map_offset = map.output.index_from_world(own.output.origin);
  const Eigen::Matrix3d from_map = grid.step_mm().inverse() * map.input.step_mm();
  own.matrix = from_map * map.matrix * to_map;
  own.offset = from_map * (map.matrix * to_map_offset + map.offset) +
               grid.index_from_world(map.input.origin);
  own.elastic = map.elastic;
  if (map.elastic) own.elastic_place = GridMap::ElasticPlace{to_map, to_map_offset};
  return own;
}

GridMap cut_out(const Geometry& input, const Region& region) {
  GridMap map;
  map.input = input;
  map.output = input.cropped(region);
  for (int axis = 0; axis < 3; ++axis)
    map.offset[2 - axis] = static_cast<double>(region.start[static_cast<std::size_t>(axis)]);
  return map;
}

}  // namespace triptych
