// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/image/geometry.h"

#include <cstdint>

namespace triptych {

/// Where a voxel of a target grid is sampled, in voxels of the image, order x, y, z:
/// position = index * (x, y, z) + offset + step * u(x, y, z). Matrices are row-major.
struct SampleMap {
  double index[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
  double offset[3] = {0, 0, 0};
  double step[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
};

/// Sampling of `items` images [channels, D, H, W] on `target`, through the kernels of this file.
///
/// Everything is contiguous float32 in memory: images [items, channels, image], fields u [items, 3,
/// target] (components x, y, z; null is u = 0), results [items, channels, target]. An image has
/// fewer than 2^31 voxels a channel. The same bits come out for every number of threads.
struct WarpTask {
  std::int64_t items = 1, channels = 1;
  Index3 image{1, 1, 1};   ///< [D, H, W]
  Index3 target{1, 1, 1};  ///< [D, H, W]
  SampleMap map;
  bool cubic = false;  ///< Keys' cubic (a = -1/2) instead of linear interpolation
  bool edge = false;   ///< beyond the image the edge voxel repeats instead of zero
};

/// result = image at the positions.
void warp_forward(const WarpTask& task, const float* image, const float* field, float* result);

/// field_gradient = d<gradient, result> / d field.
void warp_field_gradient(const WarpTask& task,
                         const float* image,
                         const float* field,
                         const float* gradient,
                         float* field_gradient);

/// image_gradient += d<gradient, result> / d image. A thread owns lines of the image and takes the
/// target's rows in order, so that no sum depends on the threads.
void warp_image_gradient(const WarpTask& task,
                         const float* field,
                         const float* gradient,
                         float* image_gradient);

/// Offset within a channel of the voxel nearest to each position, or -1 outside: [items, target].
void warp_nearest(const WarpTask& task, const float* field, std::int64_t* offsets);

}  // namespace triptych
