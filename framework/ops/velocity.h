// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/image/geometry.h"

#include <utility>

#include <ATen/core/Tensor.h>

namespace triptych {

// Displacement fields as maps x -> x + u(x): [N, 3, D, H, W] in mm (LPS) on the grid `grid`. Beyond
// the grid a field goes on with the value at its edge. All functions are differentiable.

/// The displacement of "first `inner`, then `outer`": u(x) = inner(x) + outer(x + inner(x)).
/// `inner` lies on `grid`, `outer` on `outer_grid` in the space that `inner` leads to.
at::Tensor compose_displacements(const at::Tensor& outer,
                                 const Geometry& outer_grid,
                                 const at::Tensor& inner,
                                 const Geometry& grid);

/// Displacement after unit time along a stationary velocity field, by scaling and squaring (Arsigny
/// et al., A log-Euclidean framework for statistics on diffeomorphisms, 2006): the velocity divided
/// by 2^steps, composed with itself `steps` times. Free of folds as long as a step is shorter than
/// the field's variation; the negated velocity gives the inverse.
at::Tensor integrate_velocity(const at::Tensor& velocity_mm, const Geometry& grid, int steps = 7);

struct InversionOptions {
  int iterations = 50;         ///< at most
  double tolerance_mm = 1e-3;  ///< of the largest change in an iteration
};

/// The v with v(x + u(x)) = -u(x): fixed-point iteration v <- -u(y + v(y)) (Chen et al., A simple
/// fixed-point approach to invert a deformation field, 2008), on the same grid. Converges where u
/// changes by less than the distance between two points. Throws numeric_error when the change after
/// the last iteration is above the tolerance and not falling: then u folds. What u maps from
/// outside of the grid takes the edge's displacement.
at::Tensor invert_displacement(const at::Tensor& displacement_mm,
                               const Geometry& grid,
                               const InversionOptions& options = {});

/// Largest distance |w(x)| in mm of the composition w of two fields on one grid, and its mean over
/// the voxels that stay `margin_voxel` inside of the grid: 0 for a field and its inverse.
struct ConsistencyError {
  double mean_mm = 0.0;
  double largest_mm = 0.0;
};
ConsistencyError consistency_error(const at::Tensor& forward_mm,
                                   const at::Tensor& backward_mm,
                                   const Geometry& grid,
                                   std::int64_t margin_voxel = 0);

/// Draws two fields on one grid towards inverses of each other (ConvexAdam's symmetrisation):
/// a <- (a - b(x + a)) / 2 and b alike, `iterations` times.
std::pair<at::Tensor, at::Tensor> make_consistent(const at::Tensor& forward_mm,
                                                  const at::Tensor& backward_mm,
                                                  const Geometry& grid,
                                                  int iterations = 15);

}  // namespace triptych
