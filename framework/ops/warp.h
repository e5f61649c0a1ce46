// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/image/geometry.h"

#include <cstdint>
#include <string>

#include <ATen/core/Tensor.h>

namespace triptych {

// Images pulled back by displacements: result(x) = image(x + u(x)), `moving_from_fixed`.
//
// x runs over the voxel centres of a grid in the fixed space; u is [N, 3, D, H, W] float32 in mm
// (LPS, components x, y, z). The image lies on a grid of its own, in the space that u leads to. All
// items of a batch share the two grids. A 2D grid has D = 1; along an axis of one voxel an image is
// constant, so that the out-of-plane part of u does nothing and has no gradient.

enum class WarpInterpolation {
  kLinear,
  kCubic,  ///< Keys 1981 with a = -1/2: passes through the voxels, exact for parabolas, may
           ///< overshoot
};

/// What lies beyond the outermost voxel centres.
enum class WarpPadding {
  kZero,  ///< zeros at the voxel centres outside
  kEdge,  ///< the nearest edge voxel
};

struct WarpOptions {
  WarpInterpolation interpolation = WarpInterpolation::kLinear;
  WarpPadding padding = WarpPadding::kZero;
};

/// image [N, C, D', H', W'] on `image_grid` at the displaced voxel centres of `grid`:
/// [N, C, D, H, W].
///
/// Differentiable once in image and displacement. Float32 on the CPU runs on kernels of our own,
/// with the same bits for every number of threads; other types and devices take LibTorch's
/// operators. At a voxel centre, where the linear interpolant has a kink, the derivative is that
/// towards growing indices. A displacement that is no number reads like one that leads far away.
/// Throws shape_error or geometry_error for tensors that do not fit their grids.
at::Tensor warp(const at::Tensor& image,
                const Geometry& image_grid,
                const at::Tensor& displacement_mm,
                const Geometry& grid,
                const WarpOptions& options = {});

/// The same on one grid with u in voxels (components along W, H, D).
at::Tensor warp_voxels(const at::Tensor& image,
                       const at::Tensor& displacement_voxel,
                       const WarpOptions& options = {});

/// The voxel of an int64 label map [N, C, D', H', W'] nearest to each position, `outside` where
/// there is none (-1: not labelled): int64 [N, C, D, H, W].
at::Tensor warp_labels(const at::Tensor& labels,
                       const Geometry& labels_grid,
                       const at::Tensor& displacement_mm,
                       const Geometry& grid,
                       std::int64_t outside = -1);

/// image at the voxel centres of `grid` without displacement, by default with repeated edges: how a
/// displacement field [N, 3, D', H', W'] of a coarse grid comes onto a fine one. Nothing is
/// smoothed before a coarser grid is sampled.
at::Tensor resample_to_grid(const at::Tensor& image,
                            const Geometry& image_grid,
                            const Geometry& grid,
                            const WarpOptions& options = {WarpInterpolation::kLinear,
                                                          WarpPadding::kEdge});

/// Displacements along the axes of a grid, in voxels (components along W, H, D), as mm (LPS), and
/// back: [N, 3, D, H, W]. Differentiable.
at::Tensor mm_from_voxels(const at::Tensor& displacement_voxel, const Geometry& grid);
at::Tensor voxels_from_mm(const at::Tensor& displacement_mm, const Geometry& grid);

/// Throws shape_error unless `displacement` is a floating tensor [N, 3, D, H, W] on `grid`.
void check_displacement(const at::Tensor& displacement,
                        const Geometry& grid,
                        const std::string& name);

}  // namespace triptych
