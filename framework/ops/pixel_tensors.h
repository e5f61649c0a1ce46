// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/ops/projector.h"

#include <vector>

#include <ATen/core/Tensor.h>

namespace triptych {

/// PixelKernel by LibTorch's operators, on any device and in float32 or float64: projections
/// [slices, A, columns] -> [slices, H, W].
at::Tensor back_project_pixels(const at::Tensor& projections,
                               const ScanGeometry& scan,
                               const SliceGrid& grid,
                               const std::vector<double>& angle_weights);

/// Its adjoint: [slices, H, W] -> [slices, A, columns].
at::Tensor project_pixels(const at::Tensor& image,
                          const ScanGeometry& scan,
                          const SliceGrid& grid,
                          std::int64_t detector_columns,
                          const std::vector<double>& angle_weights);

}  // namespace triptych
