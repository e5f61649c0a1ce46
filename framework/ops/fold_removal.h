// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace triptych {

struct FoldRemovalOptions {
  double smallest_determinant = 0.05;  ///< of I + du/dx that is left alone
  int rounds = 60;                     ///< at most
};

/// Smooths a displacement [1, 3, D, H, W] in voxels of its grid (components along W, H, D; float32
/// on the CPU) where it folds, in place: round by round the voxels about every voxel whose
/// determinant (jacobian.h) is too small become the mean of their 3^3 neighbours, until none is
/// left. Everything else keeps its bits. Returns the number of voxels that are still too small. The
/// same bits for every number of threads.
std::int64_t remove_folds(at::Tensor& displacement_voxel, const FoldRemovalOptions& options = {});

}  // namespace triptych
