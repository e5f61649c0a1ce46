// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace triptych {

// Classical denoising, to compare networks with. Images are finite float32 [C, D, H, W] on the CPU;
// channels are treated apart, axes of one voxel are left alone, and the border is repeated. Results
// do not depend on the number of threads. No gradients.

/// Median of the (2 radius + 1)^3 voxels around each voxel.
at::Tensor median_filter(const at::Tensor& image, std::int64_t radius);

/// argmin_u 1/2 |u - image|^2 + weight TV(u), TV = sum over voxels of the Euclidean norm of the
/// forward differences (Rudin, Osher and Fatemi, Physica D 60, 1992), by the fast gradient
/// projection on the dual (Beck and Teboulle, IEEE TIP 18(11), 2009). `weight` > 0, in grey values.
at::Tensor total_variation_filter(const at::Tensor& image,
                                  double weight,
                                  std::int64_t iterations = 100);

struct NonLocalMeansOptions {
  double strength = 0.05;          ///< h, in grey values, > 0
  std::int64_t patch_radius = 1;   ///< of the patches that are compared
  std::int64_t search_radius = 3;  ///< of the neighbourhood that is averaged
};

/// Non-local means (Buades, Coll and Morel, CVPR 2005): the mean of the voxels nearby, weighted by
/// exp(-d / h^2) where d is the mean squared difference of the patches around both.
at::Tensor non_local_means(const at::Tensor& image, const NonLocalMeansOptions& options);

/// The same mean over the voxels of another image of equal size: weights exp(-d / h^2) where d is
/// the mean squared difference between the patch of `image` around a voxel and that of `source`
/// around a voxel nearby. Where no patch nearby is alike (all weights vanish), the voxel of `image`
/// itself.
at::Tensor non_local_means_of(const at::Tensor& image,
                              const at::Tensor& source,
                              const NonLocalMeansOptions& options);

}  // namespace triptych
