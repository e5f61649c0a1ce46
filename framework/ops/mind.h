// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace triptych {

struct MindOptions {
  std::int64_t radius = 1;    ///< of the patches, in voxels
  std::int64_t dilation = 2;  ///< distance from the centre to the six neighbours, in voxels
};

inline constexpr std::int64_t kMindChannels = 12;
/// Mean variance of a channel over an image, about that on brains. Other features of the same one
/// have the same weight against a regularisation.
inline constexpr double kMindVariance = 0.1;

/// MIND-SSC descriptors (Heinrich et al., Towards realtime multimodal fusion for image-guided
/// interventions using self-similarities, 2013): image [N, 1, D, H, W] -> [N, 12, D, H, W] in (0,
/// 1].
///
/// A channel compares the patches at two of the six neighbours of a voxel that are sqrt(2)
/// dilations apart: exp(-(d - m) / v), d the mean squared difference over the patch, m the smallest
/// d of the voxel's twelve, v the mean of d - m, held within 0.001 and 1000 times its mean over the
/// image. Edge voxels repeat beyond the image. Channels in the order of the neighbour pairs (-x,
/// -y),
/// (-x, +y), (-x, -z), (-x, +z), (+x, -y), ... (+y, +z) of -x, +x, -y, +y, -z, +z. Invariant to
/// affine changes of the grey values, inversion included; 1 everywhere in a constant image.
///
/// Differentiable. Float32 on the CPU without gradient runs on a kernel with the same bits for
/// every number of threads; the rest takes LibTorch's operators.
at::Tensor mind_ssc(const at::Tensor& image, const MindOptions& options = {});

}  // namespace triptych
