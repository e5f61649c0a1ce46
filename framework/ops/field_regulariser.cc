// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/field_regulariser.h"

#include "framework/ops/jacobian.h"
#include "framework/ops/warp.h"

#include <vector>

#include <ATen/ATen.h>

namespace triptych {
namespace {

/// Difference of neighbours along a tensor axis (2 = D, 3 = H, 4 = W) per mm; one voxel shorter.
at::Tensor slope(const at::Tensor& field, std::int64_t axis, const Geometry& grid) {
  const std::int64_t size = field.size(axis);
  const double spacing = grid.spacing[static_cast<Eigen::Index>(4 - axis)];
  return (field.narrow(axis, 1, size - 1) - field.narrow(axis, 0, size - 1)) / spacing;
}

/// Tensor axes with at least `voxels` voxels.
std::vector<std::int64_t> axes_of(const at::Tensor& field, std::int64_t voxels) {
  std::vector<std::int64_t> axes;
  for (std::int64_t axis = 2; axis < 5; ++axis) {
    if (field.size(axis) >= voxels) axes.push_back(axis);
  }
  return axes;
}

}  // namespace

at::Tensor diffusion_energy(const at::Tensor& displacement_mm, const Geometry& grid) {
  check_displacement(displacement_mm, grid, "displacement");
  at::Tensor sum = at::zeros({}, displacement_mm.options());
  const std::vector<std::int64_t> axes = axes_of(displacement_mm, 2);
  for (const std::int64_t axis : axes)
    sum = sum + slope(displacement_mm, axis, grid).square().mean();
  return axes.empty() ? sum : sum / static_cast<double>(axes.size());
}

at::Tensor bending_energy(const at::Tensor& displacement_mm, const Geometry& grid) {
  check_displacement(displacement_mm, grid, "displacement");
  at::Tensor sum = at::zeros({}, displacement_mm.options());
  for (const std::int64_t axis : axes_of(displacement_mm, 2)) {
    const at::Tensor first = slope(displacement_mm, axis, grid);
    for (const std::int64_t other : axes_of(first, 2)) {
      if (other < axis) continue;
      const at::Tensor energy = slope(first, other, grid).square().mean();
      sum = sum + (other == axis ? energy : 2.0 * energy);
    }
  }
  return sum;
}

at::Tensor folding_penalty(const at::Tensor& displacement_mm, const Geometry& grid, double margin) {
  return (margin - jacobian_determinant(displacement_mm, grid)).clamp_min(0.0).mean();
}

}  // namespace triptych
