// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/report/table.h"

#include <string>

#include <ATen/core/Tensor.h>

namespace triptych::app {

/// PSNR (dB), SSIM and RMSE of an image [C, D, H, W] against its reference: over everything, and,
/// with a mask [1, D, H, W] (not 0 = inside; undefined: none), inside and outside of it. The range
/// that PSNR and SSIM refer to is that of the reference. Throws data_error for a constant one.
Table image_table(const at::Tensor& prediction,
                  const at::Tensor& reference,
                  const at::Tensor& mask,
                  const std::string& reference_name);

}  // namespace triptych::app
