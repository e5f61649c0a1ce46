// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace triptych {

struct LocalContrastOptions {
  std::int64_t radius = 12;  ///< of the window, in voxels
  double flat_share = 0.01;  ///< of the image's mean local variance, added to that of each window
};

/// Grey values of an image [1, 1, D, H, W] against their surroundings, same shape: (x - m) / s, m
/// and s the mean and standard deviation within a window. The squared difference of two of them is
/// 2 (1 - local correlation) in the mean. Free of slow changes of the grey values, as by a bias
/// field; 0 in a constant image.
///
/// `weight` of the same shape, zeros and ones or undefined for 1 everywhere, says which voxels
/// count; the others become 0. Without gradient; the same bits for every number of threads.
at::Tensor local_contrast(const at::Tensor& image,
                          const at::Tensor& weight = {},
                          const LocalContrastOptions& options = {});

}  // namespace triptych
