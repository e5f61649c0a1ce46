// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>

#include <ATen/core/Tensor.h>

namespace triptych {

/// Grows D, H, W of x [N, C, D, H, W] at their ends to the next multiples by repeating the last
/// slice, row and column. Any size from 1 up works, so an image smaller than the network's stride
/// does too. Returns x itself when nothing is to do.
at::Tensor pad_to_multiple(const at::Tensor& x, const std::array<std::int64_t, 3>& multiple);

/// Undoes it: the first D, H, W = size voxels, as a view.
at::Tensor crop_to(const at::Tensor& x, const std::array<std::int64_t, 3>& size);

}  // namespace triptych
