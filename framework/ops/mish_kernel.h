// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include <ATen/core/Tensor.h>

namespace triptych {

/// Activation that a folded convolution ends with.
enum class Activation { kIdentity, kMish, kRelu, kLeakyRelu };

/// "mish", "relu", "leaky_relu" (slope 0.01), "identity".
Activation activation_from_text(const std::string& text);

/// x = activation(x + bias) in place, for inference. x is [N, C, ...] of any float type, bias [C]
/// float32 or undefined.
///
/// One pass over channels-last float32 on the CPU, vectorised for AVX-512, AVX2 or what there is,
/// chosen when the program runs; everything else goes through LibTorch's operators. mish(x) = x
/// tanh(softplus(x)) = x n / (n + 2) with n = e^x (e^x + 2), which needs one exponential; within
/// 5e-7 relative of the exact value for x >= -87 and 0 far below; NaN stays NaN.
void add_bias_activate_(at::Tensor& x, const at::Tensor& bias, Activation activation);

/// mish of one number, by the kernel's formula.
float mish_value(float x);

/// mish of float32 on the CPU, dense in any memory format; the result has the format of x.
at::Tensor dense_mish(const at::Tensor& x);
/// `gradient` of the result of dense_mish(x) times the derivative at x, within 2e-6 of the exact
/// one for gradients of 1.
at::Tensor dense_mish_backward(const at::Tensor& x, const at::Tensor& gradient);

}  // namespace triptych
