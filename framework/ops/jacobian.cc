// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/jacobian.h"

#include "framework/core/error.h"
#include "framework/ops/warp.h"

#include <array>
#include <cmath>
#include <limits>

#include <ATen/ATen.h>
#include <Eigen/LU>

namespace triptych {
namespace {

/// Derivative by the index along `axis` of [N, D, H, W].
at::Tensor index_derivative(const at::Tensor& values, std::int64_t axis) {
  const std::int64_t size = values.size(axis);
  if (size == 1) return at::zeros_like(values);
  const at::Tensor steps = values.narrow(axis, 1, size - 1) - values.narrow(axis, 0, size - 1);
  const at::Tensor first = steps.narrow(axis, 0, 1), last = steps.narrow(axis, size - 2, 1);
  if (size == 2) return at::cat({first, last}, axis);
  const at::Tensor inner =
      0.5 * (steps.narrow(axis, 1, size - 2) + steps.narrow(axis, 0, size - 2));
  return at::cat({first, inner, last}, axis);
}

}  // namespace

at::Tensor jacobian_determinant(const at::Tensor& displacement_mm, const Geometry& grid) {
  check_displacement(displacement_mm, grid, "displacement");
  const Eigen::Matrix3d index_from_mm = grid.step_mm().inverse();
  std::array<std::array<at::Tensor, 3>, 3> j;
  for (std::size_t c = 0; c < 3; ++c) {
    const at::Tensor component = displacement_mm.select(1, static_cast<std::int64_t>(c));
    // Tensor axes 3, 2, 1 are x, y, z.
    const at::Tensor by_x = index_derivative(component, 3);
    const at::Tensor by_y = index_derivative(component, 2);
    const at::Tensor by_z = index_derivative(component, 1);
    for (std::size_t world = 0; world < 3; ++world) {
      const Eigen::Vector3d column = index_from_mm.col(static_cast<Eigen::Index>(world));
      j[c][world] = column.x() * by_x + column.y() * by_y + column.z() * by_z;
      if (c == world) j[c][world] = j[c][world] + 1.0;
    }
  }
  return j[0][0] * (j[1][1] * j[2][2] - j[1][2] * j[2][1]) -
         j[0][1] * (j[1][0] * j[2][2] - j[1][2] * j[2][0]) +
         j[0][2] * (j[1][0] * j[2][1] - j[1][1] * j[2][0]);
}

JacobianStatistics jacobian_statistics(const at::Tensor& determinant,
                                       const std::optional<at::Tensor>& mask) {
  const at::NoGradGuard no_grad;
  if (mask && mask->sizes() != determinant.sizes()) {
    throw shape_error(
        fmt::format("mask of a deformation: expected {} voxels of equal shape, got {}",
                    determinant.numel(),
                    mask->numel()));
  }
  const at::Tensor values =
      (mask ? determinant.masked_select(mask->to(at::kBool)) : determinant).to(at::kDouble);
  if (values.numel() == 0)
    throw shape_error("mask of a deformation: expected at least one voxel, got none");
  const at::Tensor regular = values.masked_select(values > 0.0);
  JacobianStatistics result;
  result.folded_share =
      1.0 - static_cast<double>(regular.numel()) / static_cast<double>(values.numel());
  result.log_deviation = regular.numel() > 0 ? regular.log().std(false).item<double>()
                                             : std::numeric_limits<double>::quiet_NaN();
  result.smallest = values.min().item<double>();
  result.largest = values.max().item<double>();
  return result;
}

}  // namespace triptych
