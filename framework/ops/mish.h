// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

namespace triptych {

/// mish(x) = x tanh(softplus(x)) (Misra 2020), differentiable any number of times.
///
/// Dense float32 on the CPU passes a kernel with one exponential in each direction; LibTorch's own
/// derivative takes three of them, one number at a time. Everything else goes through LibTorch's
/// operators.
at::Tensor mish(const at::Tensor& x);

}  // namespace triptych
