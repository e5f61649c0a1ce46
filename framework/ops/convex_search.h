// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/image/geometry.h"

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

namespace triptych {

struct ConvexSearchOptions {
  std::int64_t grid_spacing = 6;  ///< voxels between points of the search grid, see search_cell
  std::int64_t half_width = 4;    ///< largest displacement along an axis, in grid points
  /// Weights of the squared distance (in grid points) to the smoothed field, one a round.
  std::vector<double> couplings = {0.003, 0.01, 0.03, 0.1, 0.3, 1.0};
  bool inverse_consistent = true;  ///< search in both directions and draw the results together
  std::int64_t memory_bytes = std::int64_t{1} << 30;  ///< for costs; beyond it they are made anew
                                                      ///< slab by slab in every round
};

/// Displacement that aligns two feature images [1, C, D, H, W] on one grid, float32 on the CPU:
/// [1, 3, D, H, W] in mm (LPS), `moving_from_fixed`.
///
/// Coupled convex optimisation (Heinrich, Papiez, Schnabel and Handels, Non-parametric discrete
/// registration with convex optimisation, 2014; settings of ConvexAdam, Siebert, Hansen and
/// Heinrich): sums of squared differences of the features, averaged over cells of the search grid
/// and over 3^3 grid points, for all displacements within the half width; then by turns the best
/// displacement of every point near a smooth field, and the field smoothed over 3^3 points. Reaches
/// half_width * grid_spacing voxels, and no farther than the image is long. Throws an Error
/// "stopped" after a signal. The same bits for every number of threads.
at::Tensor convex_search(const at::Tensor& fixed_features,
                         const at::Tensor& moving_features,
                         const Geometry& grid,
                         const ConvexSearchOptions& options = {});

/// Voxels [D, H, W] of a cell that is `edge` voxels long along the axes of the finest spacing and
/// as nearly as possible equally long, in mm, along the others; no longer than the grid, and 1
/// along axes of one voxel.
Index3 search_cell(const Geometry& grid, std::int64_t edge);

/// The grid of averages over cells of `cell` [D, H, W] voxels; what does not fill a cell at the far
/// faces is left out.
Geometry pooled_grid(const Geometry& grid, const Index3& cell);

}  // namespace triptych
