// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>

#include <ATen/core/Tensor.h>

namespace triptych {

/// Exact Euclidean distance of every voxel centre to the nearest voxel centre of `mask`; 0 inside.
/// mask bool [D, H, W] (not empty), spacing_xyz in mm -> float32 [D, H, W] in mm. By ITK's Maurer
/// filter (Maurer, Qi and Raghavan, 2003).
at::Tensor distance_to(const at::Tensor& mask, const std::array<double, 3>& spacing_xyz);

}  // namespace triptych
