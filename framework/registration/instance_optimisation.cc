// SPDX-License-Identifier: Apache-2.0
#include "framework/registration/instance_optimisation.h"

#include "framework/core/error.h"
#include "framework/core/shape.h"
#include "framework/ops/field_filter.h"

#include <utility>

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

namespace triptych {

namespace {

constexpr double kDistanceWeight = 12.0;  ///< channels of MIND: their sum is meant
/// Adam's epsilon: gradients far below it, from features in [0, 1] that agree, move nothing. (The
/// 1e-8 of ConvexAdam applies to gradients of a mean over some 10^6 voxels.)
constexpr double kFlatGradient = 1e-3;

/// Squared ratios of the spacings: (du_c / dx_a)^2 in mm per mm from differences in voxels,
/// components c and axes a in the order W, H, D.
struct RoughnessFactors {
  double values[3][3];

  RoughnessFactors(const Geometry& grid, double weight) {
    for (int c = 0; c < 3; ++c) {
      for (int a = 0; a < 3; ++a) {
        const double ratio = grid.spacing[c] / grid.spacing[a];
        values[c][a] = weight * ratio * ratio;
      }
    }
  }
};

at::Tensor roughness(const at::Tensor& field, const RoughnessFactors& factors) {
  at::Tensor sum = at::zeros({}, field.options());
  for (int a = 0; a < 3; ++a) {
    const std::int64_t axis = 4 - a, size = field.size(axis);
    if (size < 2) continue;
    const at::Tensor squares =
        (field.narrow(axis, 1, size - 1) - field.narrow(axis, 0, size - 1)).square();
    for (int c = 0; c < 3; ++c) sum = sum + factors.values[c][a] * squares.select(1, c).sum();
  }
  return sum / static_cast<double>(field.numel());
}

at::Tensor descend_by_kernel(FeaturePair pair,
                             const at::Tensor& start,
                             const RoughnessFactors& factors,
                             const InstanceOptions& options,
                             const std::function<void(std::int64_t)>& after_iteration) {
  const FeatureDistance distance(std::move(pair));
  FieldFilter filter(distance.shape(), options.smoothings);
  at::Tensor field = start.contiguous().clone();
  at::Tensor smooth = at::empty_like(field), gradient = at::empty_like(field);
  AdamState adam(field.numel());
  const auto smooth_field = [&] {
    smooth.copy_(field);
    filter.smooth_in_place(smooth.data_ptr<float>());
  };
  for (std::int64_t iteration = 0; iteration < options.iterations; ++iteration) {
    smooth_field();
    const float* u = smooth.data_ptr<float>();
    float* g = gradient.data_ptr<float>();
    distance.evaluate(u, g);
    add_diffusion_gradient(distance.shape(), factors.values, u, g);
    filter.adjoint_in_place(g);
    adam.step(g, options.rate_voxel, kFlatGradient, field.data_ptr<float>());
    if (after_iteration) after_iteration(iteration + 1);
  }
  smooth_field();
  return smooth;
}

at::Tensor descend_by_tensors(const FeaturePair& pair,
                              const at::Tensor& start,
                              const RoughnessFactors& factors,
                              const InstanceOptions& options,
                              const std::function<void(std::int64_t)>& after_iteration) {
  const FieldFilter filter({start.size(2), start.size(3), start.size(4)}, options.smoothings);
  at::Tensor field = start.detach().clone();
  at::Tensor mean = at::zeros_like(field), square = at::zeros_like(field);
  double mean_left = 1.0, square_left = 1.0;
  for (std::int64_t iteration = 0; iteration < options.iterations; ++iteration) {
    at::Tensor gradient;
    {
      const at::AutoGradMode with_gradients(true);
      const at::Tensor variable = field.detach().set_requires_grad(true);
      const at::Tensor smooth = filter.smooth(variable);
      const at::Tensor energy = feature_distance(pair, smooth) + roughness(smooth, factors);
      gradient = torch::autograd::grad({energy}, {variable})[0] *
                 static_cast<double>(field.numel() / 3);  // the kernels' scale
    }
    mean = 0.9 * mean + 0.1 * gradient;
    square = 0.999 * square + 0.001 * gradient.square();
    mean_left *= 0.9;
    square_left *= 0.999;
    field = field - options.rate_voxel / (1.0 - mean_left) * mean /
                        ((square / (1.0 - square_left)).sqrt() + kFlatGradient);
    if (after_iteration) after_iteration(iteration + 1);
  }
  return filter.smooth(field);
}

}  // namespace

at::Tensor optimise_displacement(FeaturePair pair,
                                 const at::Tensor& start_voxel,
                                 const Geometry& grid,
                                 const InstanceOptions& options,
                                 const std::function<void(std::int64_t)>& after_iteration) {
  check_shape(
      start_voxel, {1, 3, grid.shape[0], grid.shape[1], grid.shape[2]}, "start of the descent");
  check_shape(pair.fixed, {1, kAny, grid.shape[0], grid.shape[1], grid.shape[2]}, "fixed features");
  check_valid(grid, "instance optimisation");
  TRIPTYCH_ASSERT(options.iterations >= 0);
  const at::NoGradGuard no_grad;
  const RoughnessFactors factors(grid, options.regularisation / kDistanceWeight);
  const auto on_kernel = [](const at::Tensor& x) {
    return x.is_cpu() && x.scalar_type() == at::kFloat;
  };
  const bool kernel = on_kernel(pair.fixed) && on_kernel(pair.moving) && on_kernel(start_voxel);
  return kernel ? descend_by_kernel(std::move(pair), start_voxel, factors, options, after_iteration)
                : descend_by_tensors(pair, start_voxel, factors, options, after_iteration);
}

}  // namespace triptych
