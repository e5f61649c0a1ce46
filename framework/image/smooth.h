// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace triptych {

/// Gaussian of `sigma` voxels along one axis (1 = D, 2 = H, 3 = W) of a float32 [C, D, H, W] CPU
/// tensor. The kernel ends at 4 sigma and sums to one; beyond the border the edge voxel repeats.
/// Same bits for every number of threads.
at::Tensor smooth_axis(const at::Tensor& data, int axis, double sigma);

}  // namespace triptych
