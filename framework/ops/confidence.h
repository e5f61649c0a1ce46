// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace triptych {

struct AgreementOptions {
  std::int64_t radius = 4;      ///< of the window, in voxels
  double flat_variance = 1e-6;  ///< of a feature, below which it is constant
};

/// How well two feature images [1, C, D, H, W] agree about every voxel, [1, 1, D, H, W] in [0, 1]:
/// 1 - sum over the channels of the mean of (f - m)^2 over that of var(f) + var(m) within a window,
/// which is what unrelated features of one mean differ by; negative values as 0. 1 where they are
/// equal, 0 where they share nothing, as in noise, and where both are constant.
///
/// `weight` [1, 1, D, H, W], undefined for 1 everywhere, says how much a voxel counts. Without
/// gradient. Float32 on the CPU has the same bits for every number of threads.
at::Tensor local_agreement(const at::Tensor& fixed,
                           const at::Tensor& moving,
                           const at::Tensor& weight = {},
                           const AgreementOptions& options = {});

struct StructureOptions {
  std::int64_t radius = 3;      ///< of the window, in voxels
  double noise_quantile = 0.1;  ///< of the local variances: that of a place which holds noise alone
  double noise_factor = 1.75;   ///< of that variance, which noise elsewhere does not exceed
};

/// Share of the local variance of an image [1, 1, D, H, W] that noise does not explain, in [0, 1]:
/// 1 - k v_0 / v, negative values as 0; v the variance within a window, v_0 a low quantile of it
/// over the places where the image varies at all. 0 everywhere in a constant image, and about 0 in
/// one of which every place is like the next. Without gradient; the same bits for every number of
/// threads.
at::Tensor structure_share(const at::Tensor& image, const StructureOptions& options = {});

}  // namespace triptych
