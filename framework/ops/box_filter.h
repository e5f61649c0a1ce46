// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/image/geometry.h"

#include <functional>

#include <ATen/core/Tensor.h>

namespace triptych {

/// Sums over windows of 2 `radius` + 1 voxels along D, H, W with zeros beyond the image:
/// [N, C, D, H, W] -> the same shape. Differentiable as often as wanted: the sum is its own
/// adjoint.
///
/// Float32 on the CPU runs on a separable kernel whose sums are added up afresh for every voxel, so
/// that nothing drifts and every number of threads gives the same bits; the rest takes LibTorch's
/// pooling.
at::Tensor box_sum(const at::Tensor& x, const Index3& radius);

/// `radius` along the axes of x [N, C, D, H, W] that are longer than one voxel, 0 along the others.
Index3 window_radius(const at::Tensor& x, std::int64_t radius);

/// One volume's box sums, for kernels whose values are made row by row.
struct BoxTask {
  Index3 shape{1, 1, 1};   ///< [D, H, W]
  Index3 radius{0, 0, 0};  ///< along D, H, W
  bool edge = false;       ///< beyond the image the edge voxel repeats instead of zero
  float factor = 1.0F;     ///< the sums are multiplied by it
};

/// `result` [D, H, W] = factor * sums over windows of the rows that `make_row(z, y, row)` writes (W
/// values; called once a row, by several threads). `planes` is workspace of the volume's size.
void box_sum_rows(const BoxTask& task,
                  const std::function<void(std::int64_t, std::int64_t, float*)>& make_row,
                  float* planes,
                  float* result);

}  // namespace triptych
