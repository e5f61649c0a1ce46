// SPDX-License-Identifier: Apache-2.0
#include "framework/data/grid_map.h"

#include <Eigen/LU>

#include "framework/core/error.h"

namespace triptych {

Eigen::Vector3d GridMap::input_from_output(const Eigen::Vector3d& index) const {
  if (!elastic) return matrix * index + offset;
  return matrix * (index + elastic->at(index)) + offset;
}

Eigen::Vector3d GridMap::output_from_input(const Eigen::Vector3d& index) const {
  const Eigen::Vector3d target = matrix.inverse() * (index - offset);
  if (!elastic) return target;
  // x = target - u(x) contracts: u changes by less than x does wherever the deformation has no folds.
  Eigen::Vector3d x = target;
  for (int i = 0; i < 200; ++i) {
    const Eigen::Vector3d next = target - elastic->at(x);
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
      deformation.col(axis) += (elastic->at(output_index + step) - elastic->at(output_index - step)) / (2.0 * kStep);
    }
  }
  // d input_world / d output_world, inverted.
  return (input.step_mm() * matrix * deformation * output.step_mm().inverse()).inverse();
}

GridMap permuted_axes(const Geometry& input, const std::array<int, 3>& order, const std::array<bool, 3>& flipped) {
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

GridMap cut_out(const Geometry& input, const Region& region) {
  GridMap map;
  map.input = input;
  map.output = input.cropped(region);
  for (int axis = 0; axis < 3; ++axis) map.offset[2 - axis] = static_cast<double>(region.start[static_cast<std::size_t>(axis)]);
  return map;
}

}  // namespace triptych
