// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/ops/mish_kernel.h"

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace triptych {

/// 3x3 convolution with zero padding 1 by Winograd's F(2x2, 3x3) (Lavin and Gray 2016), float32 on
/// the CPU.
///
/// A 4x4 patch of the input gives a 2x2 block of the output with 16 products a channel pair instead
/// of 36, so 2.25 times fewer than the definition; rounding errors stay near 1e-6 of the largest
/// value. Images are channels-last, so that the 16 products are 16 matrix products over channels.
/// Needs AVX-512, found out when the program runs.
class WinogradConvolution {
 public:
  /// True if this processor and a convolution of these channels are served: in a multiple of 16,
  /// out of 32, and not so wide that the transformed weights (16/9 of the original) would cost more
  /// memory than they are worth.
  static bool serves(const at::Tensor& weight);

  /// weight [out, in, 3, 3]; the transformed weights are computed here, once.
  explicit WinogradConvolution(const at::Tensor& weight);

  /// activation(convolution(x) + bias): x [N, in, H, W] channels-last -> [N, out, H, W]
  /// channels-last. `bias` [out], or undefined for none. The result does not depend on the number
  /// of threads.
  at::Tensor forward(const at::Tensor& x, const at::Tensor& bias, Activation activation) const;

 private:
  std::int64_t in_, out_;
  at::Tensor transformed_;  ///< [16, out / 32, in, 32]
};

}  // namespace triptych
