// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace triptych {

/// Weight and bias of a convolution.
struct ConvolutionWeights {
  at::Tensor weight;  ///< [out, in, (k,) k, k]
  at::Tensor bias;    ///< [out]
};

/// Statistics and affine part of a batch normalisation, [C] each: y = scale * (x - mean) /
/// sqrt(variance + epsilon) + shift.
struct BatchNormStatistics {
  at::Tensor mean, variance, scale, shift;
  double epsilon = 1e-5;
};

/// The convolution that equals `weight`, `bias` (may be undefined) followed by the batch
/// normalisation in evaluation mode. Computed in float64, returned in the weight's type.
ConvolutionWeights fold_batch_norm(const at::Tensor& weight,
                                   const at::Tensor& bias,
                                   const BatchNormStatistics& norm);

/// A transposed convolution of kernel 2 and stride 2, `weight` [in, out, (2,) 2, 2], as a pointwise
/// convolution [2^n * out, in, (1,) 1, 1] followed by spread_blocks(). Channel o of the pixel at
/// offset b of its block is channel b * out + o, so that in channels-last memory a pixel's channels
/// move as one piece. Differentiable.
ConvolutionWeights pointwise_from_transposed(const at::Tensor& weight, const at::Tensor& bias);

/// [N, 2^n * C, (D,) H, W] -> [N, C, (2D,) 2H, 2W], channels-last, in the channel order above.
/// Differentiable.
at::Tensor spread_blocks(const at::Tensor& x, std::int64_t channels);

}  // namespace triptych
