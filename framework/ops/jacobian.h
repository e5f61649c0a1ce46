// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/image/geometry.h"

#include <optional>

#include <ATen/core/Tensor.h>

namespace triptych {

/// det(I + du/dx) of x -> x + u(x): [N, 3, D, H, W] in mm (LPS) on `grid` -> [N, D, H, W].
///
/// Derivatives by x in mm from central differences, one-sided at the faces (second order inside,
/// exact for linear u); zero along an axis of one voxel, so that a 2D field gives the change of
/// area. 1 is no change of volume, <= 0 a fold. Differentiable.
at::Tensor jacobian_determinant(const at::Tensor& displacement_mm, const Geometry& grid);

/// How regular a deformation is.
struct JacobianStatistics {
  double folded_share = 0.0;   ///< share of the voxels with det <= 0
  double log_deviation = 0.0;  ///< standard deviation of ln det over the voxels with det > 0; NaN
                               ///< without one
  double smallest = 0.0;
  double largest = 0.0;
};

/// Over the voxels where `mask` [N, D, H, W] (bool) holds, or over all. Voxels that are NaN count
/// as folded. Throws shape_error for an empty mask.
JacobianStatistics jacobian_statistics(const at::Tensor& determinant,
                                       const std::optional<at::Tensor>& mask = std::nullopt);

}  // namespace triptych
