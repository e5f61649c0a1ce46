// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/image/geometry.h"

#include <vector>

#include <ATen/core/Tensor.h>

namespace triptych {

/// Smoothing S of displacement fields [1, 3, D, H, W] by repeated averages over 3 voxels along
/// every axis (three times: about a Gaussian of sqrt(2) voxels), where the weights of voxels beyond
/// the grid go to those inside: constants stay. Axes of one voxel are left alone.
///
/// Float32 on the CPU runs on a kernel with the same bits for every number of threads; the rest
/// takes LibTorch's operators and is differentiable.
class FieldFilter {
 public:
  FieldFilter(const Index3& shape, int repetitions);

  /// S u.
  at::Tensor smooth(const at::Tensor& field) const;
  /// S^T g: the gradient by u of what has the gradient g by S u.
  at::Tensor adjoint(const at::Tensor& gradient) const;

  /// The same for a field of the kernel's in memory, [3, D, H, W] float32; in place.
  void smooth_in_place(float* field) { filter(field, false); }
  void adjoint_in_place(float* field) { filter(field, true); }

 private:
  struct Axis {
    std::int64_t size = 1, radius = 0;
    std::vector<float> scale;  ///< 1 / sum of the weights inside, per voxel
  };
  void filter(float* field, bool adjoint);
  at::Tensor by_tensors(const at::Tensor& field, bool adjoint) const;

  Axis axes_[3];                ///< D, H, W
  std::vector<float> weights_;  ///< of 2 repetitions + 1 voxels
  std::vector<float> planes_;   ///< workspace, one component
};

/// gradient [3, D, H, W] += derivative of the sum over the voxels of (1/3) sum over components c
/// and axes a of factor[c][a] (u_c(x + e_a) - u_c(x))^2, components and axes in the order W, H, D.
void add_diffusion_gradient(const Index3& shape,
                            const double (&factor)[3][3],
                            const float* displacement,
                            float* gradient);

/// State of Adam (Kingma and Ba 2015; beta 0.9 and 0.999) for one array.
struct AdamState {
  explicit AdamState(std::int64_t size);
  /// values -= rate * mean / (sqrt(square) + epsilon), both corrected for their start.
  void step(const float* gradient, double rate, double epsilon, float* values);

  std::vector<float> mean, square;
  std::int64_t steps = 0;
};

}  // namespace triptych
