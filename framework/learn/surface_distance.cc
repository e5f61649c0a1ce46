// SPDX-License-Identifier: Apache-2.0
#include "framework/core/shape.h"
#include "framework/image/distance_map.h"
#include "framework/learn/label_metrics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <ATen/ATen.h>

namespace triptych {
namespace {

/// Voxels of the mask with a face neighbour outside of it.
at::Tensor surface_of(const at::Tensor& mask) {
  at::Tensor inner = mask.clone();
  for (int axis = 0; axis < 3; ++axis) {
    const std::int64_t size = mask.size(axis);
    if (size == 1) continue;
    at::Tensor before = at::zeros_like(mask);
    at::Tensor after = at::zeros_like(mask);
    before.narrow(axis, 1, size - 1).copy_(mask.narrow(axis, 0, size - 1));
    after.narrow(axis, 0, size - 1).copy_(mask.narrow(axis, 1, size - 1));
    inner = inner.logical_and(before).logical_and(after);
  }
  return mask.logical_and(inner.logical_not());
}

/// Cuts both masks to the box around their union, one voxel wider: distances need no more.
std::pair<at::Tensor, at::Tensor> cropped(at::Tensor a, at::Tensor b) {
  for (int axis = 0; axis < 3; ++axis) {
    const at::Tensor any = a.logical_or(b).transpose(0, axis).flatten(1).any(1).nonzero();
    const std::int64_t first = std::max<std::int64_t>(0, any.min().item<std::int64_t>() - 1);
    const std::int64_t last = std::min(a.size(axis) - 1, any.max().item<std::int64_t>() + 1);
    a = a.narrow(axis, first, last - first + 1);
    b = b.narrow(axis, first, last - first + 1);
  }
  return {a, b};
}

std::vector<float> distances(const at::Tensor& from,
                             const at::Tensor& to,
                             const std::array<double, 3>& spacing) {
  const at::Tensor values = distance_to(to, spacing).masked_select(from).contiguous();
  return {values.data_ptr<float>(), values.data_ptr<float>() + values.numel()};
}

double percentile_95(std::vector<float> values) {
  const auto rank =
      static_cast<std::size_t>(std::ceil(0.95 * static_cast<double>(values.size()))) - 1;
  std::nth_element(
      values.begin(), values.begin() + static_cast<std::ptrdiff_t>(rank), values.end());
  return values[rank];
}

}  // namespace

SurfaceDistance surface_distance(const at::Tensor& a,
                                 const at::Tensor& b,
                                 const Geometry& geometry) {
  check_shape(a, {b.size(0), b.size(1), b.size(2)}, "surface distance");
  const bool a_empty = !a.any().item<bool>();
  const bool b_empty = !b.any().item<bool>();
  if (a_empty && b_empty) return {0.0, 0.0};
  if (a_empty || b_empty) {
    const double undefined = std::numeric_limits<double>::quiet_NaN();
    return {undefined, undefined};
  }
  const std::array<double, 3> spacing = {
      geometry.spacing[0], geometry.spacing[1], geometry.spacing[2]};
  // Surfaces first, so that a box face is not taken for the image border.
  const auto [surface_a, surface_b] = cropped(surface_of(a), surface_of(b));
  const std::vector<float> a_to_b = distances(surface_a, surface_b, spacing);
  const std::vector<float> b_to_a = distances(surface_b, surface_a, spacing);
  double sum = 0.0;
  for (const float d : a_to_b) sum += d;
  for (const float d : b_to_a) sum += d;
  return {std::max(percentile_95(a_to_b), percentile_95(b_to_a)),
          sum / static_cast<double>(a_to_b.size() + b_to_a.size())};
}

}  // namespace triptych
