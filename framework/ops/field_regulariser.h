// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/image/geometry.h"

#include <ATen/core/Tensor.h>

namespace triptych {

// Roughness of displacement fields [N, 3, D, H, W] in mm (LPS) on `grid`: scalars, differentiable,
// 0 for translations. Axes of one voxel do not count.

/// Mean over voxels, components and axes of (du / dx)^2, dimensionless: forward differences along
/// the axes of the grid divided by their spacing.
at::Tensor diffusion_energy(const at::Tensor& displacement_mm, const Geometry& grid);

/// Mean over voxels and components of the sum of all second derivatives squared, mixed ones twice,
/// in 1 / mm^2: 0 for affine fields (Rueckert et al., Nonrigid registration using free-form
/// deformations, 1999). Derivatives where the differences fit into the grid.
at::Tensor bending_energy(const at::Tensor& displacement_mm, const Geometry& grid);

/// Mean over voxels of max(0, margin - det(I + du/dx)): 0 where no volume shrinks below `margin` of
/// itself.
at::Tensor folding_penalty(const at::Tensor& displacement_mm,
                           const Geometry& grid,
                           double margin = 0.0);

}  // namespace triptych
