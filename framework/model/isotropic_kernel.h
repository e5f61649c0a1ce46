// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace triptych {

/// `weight` [out, in, (k,) k, k] with the mean of all taps at equal distance from the kernel's
/// middle in place of each. A convolution with it commutes with turns by 90 degrees and with
/// mirroring, and roughly with other rotations. Differentiable.
at::Tensor isotropic_kernel(const at::Tensor& weight);

/// Taps of a kernel for each distance from its middle. isotropic_kernel() divides the variance of
/// independent weights by it.
double taps_per_distance(std::int64_t kernel, int dimensions);

/// `x` [N, C, (D,) H, W] with its border repeated `width` times on either side of each spatial
/// axis. Where the surroundings of a shape are uniform they stay so, whatever way it is turned.
at::Tensor edge_padded(const at::Tensor& x, std::int64_t width);

}  // namespace triptych
