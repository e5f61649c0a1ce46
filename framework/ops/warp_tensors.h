// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/ops/warp_kernel.h"

#include <ATen/core/Tensor.h>

namespace triptych {

/// warp_forward by LibTorch's operators, for every floating type and device, differentiable by
/// autograd: image [N, C, D', H', W'], field [N, 3, D, H, W] or undefined -> [N, C, D, H, W].
/// `task.target` and the options of `task` hold; items and channels are those of the tensors.
at::Tensor warp_by_tensors(const WarpTask& task, const at::Tensor& image, const at::Tensor& field);

/// warp_nearest by LibTorch's operators: int64 [N, D * H * W] with -1 outside.
at::Tensor nearest_by_tensors(const WarpTask& task,
                              const at::Tensor& field,
                              std::int64_t items,
                              const at::TensorOptions& options);

}  // namespace triptych
