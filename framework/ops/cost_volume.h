// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/image/geometry.h"

#include <ATen/core/Tensor.h>

namespace triptych {

// Costs of displacements d on a grid: |d_x| <= half_width[2] and so on, in voxels of the grid.
// There are K = product of (2 half_width + 1) of them, the one along W running fastest: k = ((d_z +
// h_z) (2 h_y + 1) + d_y + h_y) (2 h_x + 1) + d_x + h_x.

/// cost[k](x) = sum over the channels of (fixed(x) - moving(x + d_k))^2, features of the moving
/// image being 0 beyond it: [N, C, D, H, W] twice -> [N, K, D, H, W].
///
/// Differentiable once in both. Float32 on the CPU runs on kernels with the same bits for every
/// number of threads; the rest takes LibTorch's operators. The result holds K values a voxel:
/// search on a grid coarser than the image (convex_search.h).
at::Tensor cost_volume(const at::Tensor& fixed, const at::Tensor& moving, const Index3& half_width);

/// The slices `first_slice` <= z < `end_slice` of cost_volume of one item, without gradient:
/// [K, end - first, H, W]. Float32 on the CPU, [C, D, H, W] each.
at::Tensor cost_slices(const at::Tensor& fixed,
                       const at::Tensor& moving,
                       const Index3& half_width,
                       std::int64_t first_slice,
                       std::int64_t end_slice);

/// Displacement k in voxels of the grid: [K, 3], components along W, H, D, float32.
at::Tensor search_displacements(const Index3& half_width);

/// The expected displacement under softmax(-cost / temperature) over k, in voxels of the grid
/// (components along W, H, D): [N, K, D, H, W] -> [N, 3, D, H, W]. Differentiable.
at::Tensor soft_argmin(const at::Tensor& costs, const Index3& half_width, double temperature = 1.0);

}  // namespace triptych
