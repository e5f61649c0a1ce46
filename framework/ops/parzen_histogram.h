// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace triptych {

/// Bins that a cubic B-spline window reaches beyond the values' range.
inline constexpr std::int64_t kParzenMargin = 4;

/// Weighted counts [N, bins, bins] of pairs of values: voxel v adds weights[v] * B3(i - 1.5 - a[v])
/// * B3(j - 1.5 - b[v]) to bin (i, j), with the cubic B-spline B3. a, b and weights are [N, V], a
/// and b in bins from 0 to bins - kParzenMargin (values beyond are moved to the nearer end).
///
/// Differentiable in a and b. Float32 on the CPU runs on a kernel with the same bits for every
/// number of threads; the rest takes LibTorch's operators with windows [N, bins, V].
at::Tensor parzen_counts(const at::Tensor& a,
                         const at::Tensor& b,
                         const at::Tensor& weights,
                         std::int64_t bins);

}  // namespace triptych
