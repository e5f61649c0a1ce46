// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/ops/projector.h"

#include <ATen/core/Tensor.h>

namespace triptych {

/// Joseph's projector by LibTorch's operators, on any device and in float32 or float64;
/// JosephKernel does the same faster. image [slices, H, W] -> [slices, A, columns].
at::Tensor project_tensors(const at::Tensor& image,
                           const ScanGeometry& scan,
                           const SliceGrid& grid,
                           std::int64_t detector_columns);

/// Its adjoint: [slices, A, columns] -> [slices, H, W].
at::Tensor back_project_tensors(const at::Tensor& projections,
                                const ScanGeometry& scan,
                                const SliceGrid& grid);

}  // namespace triptych
