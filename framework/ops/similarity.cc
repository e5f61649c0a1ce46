// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/similarity.h"

#include "framework/core/error.h"
#include "framework/core/shape.h"
#include "framework/ops/box_filter.h"
#include "framework/ops/parzen_histogram.h"

#include <limits>
#include <vector>

#include <ATen/ATen.h>

namespace triptych {
namespace {

constexpr double kTinyProbability = 1e-12;  ///< under every bin that a voxel reaches

void check_pair(const at::Tensor& fixed,
                const at::Tensor& moving,
                const std::optional<at::Tensor>& mask) {
  check_shape(fixed, {kAny, 1, kAny, kAny, kAny}, "fixed image");
  check_shape(
      moving, {fixed.size(0), 1, fixed.size(2), fixed.size(3), fixed.size(4)}, "moving image");
  if (mask) {
    check_shape(*mask,
                {fixed.size(0), 1, fixed.size(2), fixed.size(3), fixed.size(4)},
                "mask of the images");
  }
}

/// Weighted mean over the voxels of each item, [N, 1, 1, 1, 1].
at::Tensor item_mean(const at::Tensor& x, const at::Tensor& weights) {
  const std::vector<std::int64_t> space{1, 2, 3, 4};
  return (weights * x).sum(space, true) / weights.sum(space, true).clamp_min(kTinyProbability);
}

at::Tensor entropy(const at::Tensor& probabilities) {
  return -(probabilities * probabilities.clamp_min(kTinyProbability).log()).flatten(1).sum(1);
}

struct Entropies {
  at::Tensor fixed, moving, joint;  ///< [N], nats
};

Entropies entropies(const at::Tensor& joint) {
  check_shape(joint, {kAny, kAny, kAny}, "joint histogram");
  return {entropy(joint.sum(2)), entropy(joint.sum(1)), entropy(joint)};
}

/// Lowest value and bins per grey value of each item.
struct GreyScale {
  at::Tensor low, factor;  ///< [N, 1]
};

GreyScale grey_scale(const at::Tensor& values, const at::Tensor& weights, std::int64_t bins) {
  constexpr double kFar = std::numeric_limits<float>::max();
  const at::Tensor x = values.detach();
  const at::Tensor outside = weights <= 0.0;
  const at::Tensor low = x.masked_fill(outside, kFar).amin(1, true);
  const at::Tensor range = x.masked_fill(outside, -kFar).amax(1, true) - low;
  const at::Tensor factor = at::where(
      range > 0.0, static_cast<double>(bins - kParzenMargin) / range, at::zeros_like(range));
  return {low, factor};
}

}  // namespace

at::Tensor local_ncc(const at::Tensor& fixed,
                     const at::Tensor& moving,
                     const LocalNccOptions& options,
                     const std::optional<at::Tensor>& mask) {
  check_pair(fixed, moving, mask);
  TRIPTYCH_ASSERT(options.radius >= 1 && options.epsilon > 0.0);
  const at::Tensor weights = mask ? mask->detach() : at::ones_like(fixed);
  // Large common offsets would cancel in float32.
  const at::Tensor f = fixed - item_mean(fixed.detach(), weights);
  const at::Tensor m = moving - item_mean(moving.detach(), weights);
  const at::Tensor products = weights * at::cat({f, m, f * f, m * m, f * m}, 1);
  const Index3 radius = window_radius(fixed, options.radius);
  const at::Tensor counts = box_sum(weights, radius).clamp_min(kTinyProbability);
  const std::vector<at::Tensor> means = (box_sum(products, radius) / counts).split(1, 1);
  const at::Tensor covariance = means[4] - means[0] * means[1];
  const at::Tensor variances = (means[2] - means[0] * means[0]).clamp_min(0.0) *
                               (means[3] - means[1] * means[1]).clamp_min(0.0);
  const at::Tensor typical =
      item_mean(f.detach().square(), weights) * item_mean(m.detach().square(), weights);
  const at::Tensor held =
      variances + (options.epsilon * typical).clamp_min(std::numeric_limits<float>::min());
  return (weights * covariance.square() / held).sum() / weights.sum();
}

at::Tensor joint_histogram(const at::Tensor& fixed,
                           const at::Tensor& moving,
                           const HistogramOptions& options,
                           const std::optional<at::Tensor>& mask) {
  check_pair(fixed, moving, mask);
  TRIPTYCH_ASSERT(options.bins > kParzenMargin);
  const at::Tensor f = fixed.flatten(1), m = moving.flatten(1);
  const at::Tensor weights = mask ? mask->detach().flatten(1) : at::ones_like(f);
  const GreyScale f_scale = grey_scale(f, weights, options.bins);
  const GreyScale m_scale = grey_scale(m, weights, options.bins);
  const at::Tensor counts = parzen_counts((f - f_scale.low) * f_scale.factor,
                                          (m - m_scale.low) * m_scale.factor,
                                          weights,
                                          options.bins);
  return counts / weights.sum(1).clamp_min(kTinyProbability).view({-1, 1, 1});
}

at::Tensor mutual_information(const at::Tensor& joint_histogram) {
  const Entropies h = entropies(joint_histogram);
  return (h.fixed + h.moving - h.joint).mean();
}

at::Tensor normalised_mutual_information(const at::Tensor& joint_histogram) {
  const Entropies h = entropies(joint_histogram);
  return ((h.fixed + h.moving) / h.joint.clamp_min(kTinyProbability)).mean();
}

at::Tensor soft_label_dice(const at::Tensor& a, const at::Tensor& b) {
  check_shape(a, {kAny, kAny, kAny, kAny, kAny}, "label codes");
  check_shape(b, {a.size(0), a.size(1), a.size(2), a.size(3), a.size(4)}, "label codes");
  const std::vector<std::int64_t> others{0, 2, 3, 4};
  const at::Tensor first = a.slice(1, 1), second = b.slice(1, 1);
  const at::Tensor total = first.sum(others) + second.sum(others);
  const at::Tensor present = (total.detach() > 0.0).to(total.scalar_type());
  const at::Tensor dice =
      2.0 * (first * second).sum(others) / total.clamp_min(kTinyProbability) * present;
  const at::Tensor classes = present.sum();
  return at::where(classes > 0.0, dice.sum() / classes.clamp_min(1.0), at::ones_like(classes));
}

}  // namespace triptych
