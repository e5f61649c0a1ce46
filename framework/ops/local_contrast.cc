// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/local_contrast.h"

#include "framework/core/error.h"
#include "framework/core/shape.h"
#include "framework/ops/box_filter.h"

#include <algorithm>
#include <limits>

#include <ATen/ATen.h>

namespace triptych {
namespace {

/// Sum over the image: rows first, each by one thread, then these in order.
double sum_of(const at::Tensor& image) {
  const at::Tensor rows = image.sum(-1).to(at::kDouble).contiguous();
  const auto* values = rows.data_ptr<double>();
  double sum = 0.0;
  for (std::int64_t row = 0; row < rows.numel(); ++row) sum += values[row];
  return sum;
}

}  // namespace

at::Tensor local_contrast(const at::Tensor& image,
                          const at::Tensor& weight,
                          const LocalContrastOptions& options) {
  check_shape(image, {1, 1, kAny, kAny, kAny}, "image for its local contrast");
  if (weight.defined())
    check_shape(weight, {1, 1, image.size(2), image.size(3), image.size(4)}, "weight of the image");
  TRIPTYCH_ASSERT(options.radius >= 1 && options.flat_share >= 0.0);
  const at::NoGradGuard no_grad;
  const Index3 radius = window_radius(image, options.radius);
  const at::Tensor counts = weight.defined() ? weight : at::ones_like(image);
  const at::Tensor share = box_sum(counts, radius).clamp_min_(1e-6).reciprocal_();
  const auto mean_of = [&](const at::Tensor& x) { return box_sum(counts * x, radius).mul_(share); };
  const at::Tensor centred = image - 0.5 * (image.min() + image.max());  // exact in any order
  const at::Tensor mean = mean_of(centred);
  const at::Tensor variance = (mean_of(centred.square()) - mean.square()).clamp_min_(0.0);
  const double flat =
      options.flat_share * sum_of(counts * variance) / std::max(1.0, sum_of(counts));
  const double tiny = std::numeric_limits<float>::min();
  return (centred - mean).mul_(counts) / (variance + std::max(flat, tiny)).sqrt_();
}

}  // namespace triptych
