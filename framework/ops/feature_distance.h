// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/image/geometry.h"

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace triptych {

/// Two feature images on one grid that are compared under a displacement, float32.
struct FeaturePair {
  at::Tensor fixed, moving;  ///< [1, C, D, H, W]
  at::Tensor fixed_weight;   ///< [1, 1, D, H, W] or undefined: 1 everywhere
  at::Tensor moving_weight;  ///< the same, of zeros and ones
};

/// Mean over the voxels of w(x) times the mean over the channels of (moving(x + u(x)) -
/// fixed(x))^2, a scalar; u [1, 3, D, H, W] in voxels (components along W, H, D).
///
/// Features beyond the outermost voxel centres repeat those of the edge. w is `fixed_weight` at x
/// times `moving_weight` at the voxel nearest to x + u(x), and has no gradient. Differentiable once
/// in u on the CPU, where one pass gives value and gradient, with the same bits for every number of
/// threads; other devices and types, and features that need gradients, take LibTorch's operators.
/// Throws shape_error for tensors of different grids.
at::Tensor feature_distance(const FeaturePair& pair, const at::Tensor& displacement_voxel);

/// The kernel of feature_distance: features of a pair stored with the channels of a voxel side by
/// side, so that a voxel is loaded as a vector.
class FeatureDistance {
 public:
  /// Float32 on the CPU. What is moved in is released as soon as it is stored.
  explicit FeatureDistance(FeaturePair pair);

  /// The distance at `displacement` [3, D, H, W]; `gradient` (same shape) receives its derivative
  /// times the number of voxels.
  double evaluate(const float* displacement, float* gradient) const;

  const Index3& shape() const { return shape_; }
  std::int64_t voxels() const { return shape_[0] * shape_[1] * shape_[2]; }

 private:
  Index3 shape_;
  std::int64_t channels_, lanes_;  ///< lanes: channels rounded up to whole vectors
  at::Tensor fixed_, moving_;      ///< [D, H, W, lanes]
  at::Tensor fixed_weight_, moving_weight_;
};

}  // namespace triptych
