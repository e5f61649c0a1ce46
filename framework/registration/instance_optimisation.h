// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/image/geometry.h"
#include "framework/ops/feature_distance.h"

#include <cstdint>
#include <functional>

namespace triptych {

struct InstanceOptions {
  std::int64_t iterations = 80;
  double regularisation = 1.25;  ///< weight of the roughness, see below
  double rate_voxel = 1.0;       ///< of Adam: voxels that an iteration may change
  int smoothings = 3;            ///< averages over 3^3 voxels, 0 to 3, that the field goes through
};

/// The displacement that aligns two feature images of one grid, found by gradient descent from
/// `start` (instance optimisation of ConvexAdam: Siebert, Hansen and Heinrich 2021): both [1, 3, D,
/// H, W] in voxels of `grid` (components along W, H, D).
///
/// Adam on a field v whose smoothed version u = S v (FieldFilter) minimises 12 * feature_distance +
/// regularisation * R(u), R the mean over voxels and components of the sum over the axes of
/// (du / dx)^2, differences of neighbours without unit: with MIND features the published setting.
/// Lengths along axes of unequal spacing are compared in mm. Float32 on the CPU runs on kernels,
/// with the same bits for every number of threads; other types and devices take LibTorch's
/// operators. `after_iteration` hears the iterations done. A pair that is moved in is released once
/// the kernels hold it.
at::Tensor optimise_displacement(FeaturePair pair,
                                 const at::Tensor& start_voxel,
                                 const Geometry& grid,
                                 const InstanceOptions& options = {},
                                 const std::function<void(std::int64_t)>& after_iteration = {});

}  // namespace triptych
