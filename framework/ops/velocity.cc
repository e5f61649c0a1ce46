// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/velocity.h"

#include "framework/core/error.h"
#include "framework/ops/warp.h"

#include <algorithm>
#include <cmath>

#include <ATen/ATen.h>

namespace triptych {
namespace {

const WarpOptions kFieldOptions{WarpInterpolation::kLinear, WarpPadding::kEdge};

/// field(x + at(x)) on one grid.
at::Tensor field_at(const at::Tensor& field, const at::Tensor& at, const Geometry& grid) {
  return warp(field, grid, at, grid, kFieldOptions);
}

at::Tensor lengths(const at::Tensor& field) { return field.square().sum(1).sqrt(); }

/// [N, D, H, W] without `margin` voxels at both ends of axes that are longer than twice the margin.
at::Tensor without_margin(at::Tensor values, std::int64_t margin) {
  for (std::int64_t axis = 1; axis < 4; ++axis) {
    const std::int64_t size = values.size(axis);
    if (size > 2 * margin) values = values.narrow(axis, margin, size - 2 * margin);
  }
  return values;
}

}  // namespace

at::Tensor compose_displacements(const at::Tensor& outer,
                                 const Geometry& outer_grid,
                                 const at::Tensor& inner,
                                 const Geometry& grid) {
  check_displacement(outer, outer_grid, "outer displacement");
  return inner + warp(outer, outer_grid, inner, grid, kFieldOptions);
}

at::Tensor integrate_velocity(const at::Tensor& velocity_mm, const Geometry& grid, int steps) {
  TRIPTYCH_ASSERT(steps >= 0);
  check_displacement(velocity_mm, grid, "velocity");
  at::Tensor displacement = velocity_mm * std::ldexp(1.0, -steps);
  for (int step = 0; step < steps; ++step)
    displacement = displacement + field_at(displacement, displacement, grid);
  return displacement;
}

at::Tensor invert_displacement(const at::Tensor& displacement_mm,
                               const Geometry& grid,
                               const InversionOptions& options) {
  TRIPTYCH_ASSERT(options.iterations >= 1 && options.tolerance_mm > 0.0);
  check_displacement(displacement_mm, grid, "displacement to invert");
  at::Tensor inverse = -displacement_mm;
  double first_change = 0.0, change = 0.0;
  for (int iteration = 0; iteration < options.iterations; ++iteration) {
    const at::Tensor next = -field_at(displacement_mm, inverse, grid);
    change = lengths((next - inverse).detach()).max().item<double>();
    if (iteration == 0) first_change = change;
    inverse = next;
    if (change <= options.tolerance_mm) return inverse;
  }
  if (change > 0.5 * first_change) {
    throw numeric_error(
        fmt::format(
            "displacement to invert: expected a map without folds, got changes of {:.3g} mm "
            "after {} iterations (at first {:.3g} mm)",
            change,
            options.iterations,
            first_change),
        "smooth the displacement, or invert a velocity by its sign");
  }
  return inverse;
}

ConsistencyError consistency_error(const at::Tensor& forward_mm,
                                   const at::Tensor& backward_mm,
                                   const Geometry& grid,
                                   std::int64_t margin_voxel) {
  const at::NoGradGuard no_grad;
  const at::Tensor distance = without_margin(
      lengths(compose_displacements(backward_mm, grid, forward_mm, grid)), margin_voxel);
  return {distance.mean(at::kDouble).item<double>(), distance.max().item<double>()};
}

std::pair<at::Tensor, at::Tensor> make_consistent(const at::Tensor& forward_mm,
                                                  const at::Tensor& backward_mm,
                                                  const Geometry& grid,
                                                  int iterations) {
  check_displacement(forward_mm, grid, "forward displacement");
  check_displacement(backward_mm, grid, "backward displacement");
  at::Tensor forward = forward_mm, backward = backward_mm;
  for (int iteration = 0; iteration < iterations; ++iteration) {
    const at::Tensor next = 0.5 * (forward - field_at(backward, forward, grid));
    backward = 0.5 * (backward - field_at(forward, backward, grid));
    forward = next;
  }
  return {forward, backward};
}

}  // namespace triptych
