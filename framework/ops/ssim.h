// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>

#include <ATen/core/Tensor.h>

namespace triptych {

/// Settings of the structural similarity (Wang, Bovik, Sheikh and Simoncelli, IEEE TIP 13(4),
/// 2004); the defaults are theirs.
struct SsimOptions {
  double data_range = 1.0;      ///< largest minus smallest possible grey value, > 0
  std::int64_t dimensions = 2;  ///< 2 = windows in the plane [H, W], 3 = in [D, H, W]
  std::int64_t window = 11;     ///< voxels along an axis, odd
  double sigma_voxel = 1.5;     ///< standard deviation of the Gaussian window
  double k1 = 0.01;
  double k2 = 0.03;
};

/// Voxels that a window reaches beyond its centre along D, H, W. Along an axis shorter than the
/// window it is cut to the largest odd length that fits.
std::array<std::int64_t, 3> ssim_margin(const at::Tensor& image, const SsimOptions& options);

/// Structural similarity at every voxel whose window lies within the image:
/// (2 m_a m_b + c_1) (2 s_ab + c_2) / ((m_a^2 + m_b^2 + c_1) (s_a^2 + s_b^2 + c_2)), c_i = (k_i
/// data_range)^2, with Gaussian-weighted means m, variances s^2 and covariance s_ab.
/// Differentiable. a, b: [N, C, D, H, W] of one shape; result [N, C, D - 2 margin, ...], in [-1,
/// 1], 1 = equal.
at::Tensor ssim_map(const at::Tensor& a, const at::Tensor& b, const SsimOptions& options);

}  // namespace triptych
