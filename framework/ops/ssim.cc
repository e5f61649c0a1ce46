// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/ssim.h"

#include "framework/core/error.h"
#include "framework/core/shape.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include <ATen/ATen.h>

namespace triptych {
namespace {

constexpr std::int64_t kFirstSpatialAxis = 2;

std::vector<double> gaussian_window(std::int64_t margin, double sigma_voxel) {
  std::vector<double> weights;
  double sum = 0.0;
  for (std::int64_t i = -margin; i <= margin; ++i) {
    weights.push_back(std::exp(-0.5 * std::pow(static_cast<double>(i) / sigma_voxel, 2)));
    sum += weights.back();
  }
  for (double& weight : weights) weight /= sum;
  return weights;
}

/// Weighted means over windows along one axis, where they fit.
at::Tensor window_means(const at::Tensor& x,
                        std::int64_t axis,
                        const std::vector<double>& weights) {
  const std::int64_t length = x.size(axis) - static_cast<std::int64_t>(weights.size()) + 1;
  at::Tensor sum = x.narrow(axis, 0, length) * weights[0];
  for (std::size_t i = 1; i < weights.size(); ++i)
    sum = at::add(sum, x.narrow(axis, static_cast<std::int64_t>(i), length), weights[i]);
  return sum;
}

}  // namespace

std::array<std::int64_t, 3> ssim_margin(const at::Tensor& image, const SsimOptions& options) {
  std::array<std::int64_t, 3> margin{0, 0, 0};
  for (std::int64_t axis = 3 - options.dimensions; axis < 3; ++axis) {
    const std::int64_t size = image.size(kFirstSpatialAxis + axis);
    margin[static_cast<std::size_t>(axis)] = (std::min(options.window, size) - 1) / 2;
  }
  return margin;
}

at::Tensor ssim_map(const at::Tensor& a, const at::Tensor& b, const SsimOptions& options) {
  TRIPTYCH_ASSERT(options.data_range > 0.0 && options.window % 2 == 1);
  check_shape(a, {kAny, kAny, kAny, kAny, kAny}, "ssim");
  check_shape(b, {a.size(0), a.size(1), a.size(2), a.size(3), a.size(4)}, "ssim");
  at::Tensor means = at::stack({a, b, a * a, b * b, a * b}).flatten(0, 1);
  const std::array<std::int64_t, 3> margin = ssim_margin(a, options);
  for (std::size_t axis = 0; axis < 3; ++axis) {
    if (margin[axis] == 0) continue;
    means = window_means(means,
                         kFirstSpatialAxis + static_cast<std::int64_t>(axis),
                         gaussian_window(margin[axis], options.sigma_voxel));
  }
  const std::vector<at::Tensor> parts = means.chunk(5);
  const at::Tensor square_a = parts[0] * parts[0];
  const at::Tensor square_b = parts[1] * parts[1];
  const at::Tensor product = parts[0] * parts[1];
  // Rounding may leave a tiny negative variance.
  const at::Tensor variances =
      (parts[2] - square_a).clamp_min(0.0) + (parts[3] - square_b).clamp_min(0.0);
  const at::Tensor covariance = parts[4] - product;
  const double c1 = std::pow(options.k1 * options.data_range, 2);
  const double c2 = std::pow(options.k2 * options.data_range, 2);
  return (2.0 * product + c1) * (2.0 * covariance + c2) /
         ((square_a + square_b + c1) * (variances + c2));
}

}  // namespace triptych
