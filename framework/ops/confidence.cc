// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/confidence.h"

#include "framework/core/error.h"
#include "framework/core/shape.h"
#include "framework/ops/box_filter.h"

#include <ATen/ATen.h>

namespace triptych {

namespace {
constexpr double kConstant = 1e-6;  ///< variance, of the largest, that comes from rounding
}

at::Tensor local_agreement(const at::Tensor& fixed,
                           const at::Tensor& moving,
                           const at::Tensor& weight,
                           const AgreementOptions& options) {
  check_shape(fixed, {1, kAny, kAny, kAny, kAny}, "fixed features");
  const auto channels = fixed.size(1), depth = fixed.size(2), height = fixed.size(3);
  const auto width = fixed.size(4);
  check_shape(moving, {1, channels, depth, height, width}, "moving features");
  if (weight.defined()) check_shape(weight, {1, 1, depth, height, width}, "weight of the features");
  TRIPTYCH_ASSERT(options.radius >= 0 && options.flat_variance > 0.0);
  const at::NoGradGuard no_grad;
  const at::Tensor counts =
      weight.defined() ? weight : at::ones({1, 1, depth, height, width}, fixed.options());
  const Index3 radius = window_radius(fixed, options.radius);
  const at::Tensor share = box_sum(counts, radius).clamp_min_(1e-6).reciprocal_();
  const auto mean = [&](const at::Tensor& x) { return box_sum(counts * x, radius).mul_(share); };
  at::Tensor difference = at::zeros_like(counts), unrelated = at::zeros_like(counts);
  for (std::int64_t c = 0; c < channels; ++c) {
    const at::Tensor f = fixed.narrow(1, c, 1), m = moving.narrow(1, c, 1);
    difference += mean((f - m).square());
    unrelated += mean(f.square() + m.square()) - mean(f).square() - mean(m).square();
  }
  const double flat = options.flat_variance * static_cast<double>(channels);
  return ((unrelated - difference) / (unrelated + flat)).clamp_(0.0, 1.0);
}

at::Tensor structure_share(const at::Tensor& image, const StructureOptions& options) {
  check_shape(image, {1, 1, kAny, kAny, kAny}, "image for its structure");
  TRIPTYCH_ASSERT(options.radius >= 0 && options.noise_factor > 0.0);
  const at::NoGradGuard no_grad;
  const Index3 radius = window_radius(image, options.radius);
  const at::Tensor share = box_sum(at::ones_like(image), radius).reciprocal_();
  const at::Tensor centred = image - 0.5 * (image.min() + image.max());  // exact in any order
  const at::Tensor mean = box_sum(centred, radius).mul_(share);
  const at::Tensor variance = box_sum(centred.square(), radius).mul_(share) - mean.square();
  const at::Tensor varying = variance.masked_select(variance > kConstant * variance.max());
  if (varying.numel() == 0) return at::zeros_like(image);
  const auto rank =
      static_cast<std::int64_t>(options.noise_quantile * static_cast<double>(varying.numel() - 1));
  const double noise =
      options.noise_factor * std::get<0>(varying.kthvalue(rank + 1)).item<double>();
  return 1.0 - noise / variance.clamp_min(noise);
}

}  // namespace triptych
