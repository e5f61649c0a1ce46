// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace triptych {

/// Kernels of inference on channels-last images [N, C, H, W]; float32 on the CPU by own loops, else
/// by LibTorch.

/// Largest value of each 2x2 block. Sizes are even.
at::Tensor max_pool_2x2(const at::Tensor& x);

/// [skip, spread_blocks(up)] along channels without the intermediate image: skip [N, A, 2H, 2W], up
/// [N, 4 * B, H, W] in the channel order of spread_blocks, bias [B] -> [N, A + B, 2H, 2W]; the same
/// in three dimensions.
at::Tensor join_skip(const at::Tensor& skip, const at::Tensor& up, const at::Tensor& bias);

}  // namespace triptych
