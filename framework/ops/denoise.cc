// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/denoise.h"

#include "framework/core/error.h"
#include "framework/core/parallel.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include <ATen/ATen.h>

namespace triptych {
namespace {

/// Axes of [C, D, H, W] with more than one voxel.
std::vector<std::int64_t> spatial_axes(const at::Tensor& image) {
  std::vector<std::int64_t> axes;
  for (std::int64_t axis = 1; axis < 4; ++axis) {
    if (image.size(axis) > 1) axes.push_back(axis);
  }
  return axes;
}

at::Tensor dense_image(const at::Tensor& image) {
  TRIPTYCH_ASSERT(image.dim() == 4 && image.scalar_type() == at::kFloat);
  return image.contiguous();
}

/// The border repeated by `margin` voxels along every spatial axis of more than one voxel.
at::Tensor with_margin(const at::Tensor& image, std::int64_t margin) {
  std::array<std::int64_t, 3> along{0, 0, 0};
  for (const std::int64_t axis : spatial_axes(image))
    along[static_cast<std::size_t>(axis - 1)] = margin;
  const auto [d, h, w] = along;
  return at::replication_pad3d(image.unsqueeze(0), {w, w, h, h, d, d}).squeeze(0);
}

/// u(x + 1) - u(x) along `axis`, 0 at the last voxel.
at::Tensor forward_difference(const at::Tensor& u, std::int64_t axis) {
  const std::int64_t length = u.size(axis);
  at::Tensor result = at::zeros_like(u);
  result.narrow(axis, 0, length - 1)
      .copy_(u.narrow(axis, 1, length - 1) - u.narrow(axis, 0, length - 1));
  return result;
}

/// Adds the negative adjoint of forward_difference: p(x) - p(x - 1).
void add_divergence(at::Tensor& sum, const at::Tensor& p, std::int64_t axis, double factor) {
  const std::int64_t length = p.size(axis);
  const at::Tensor inner = p.narrow(axis, 0, length - 1);
  sum.narrow(axis, 0, length - 1).add_(inner, factor);
  sum.narrow(axis, 1, length - 1).sub_(inner, factor);
}

/// Sums over 2 radius + 1 neighbours along every axis of `axes`, where they fit.
at::Tensor patch_sums(at::Tensor x, const std::vector<std::int64_t>& axes, std::int64_t radius) {
  for (const std::int64_t axis : axes) {
    const std::int64_t length = x.size(axis) - 2 * radius;
    at::Tensor sum = x.narrow(axis, 0, length).clone();
    for (std::int64_t i = 1; i <= 2 * radius; ++i) sum.add_(x.narrow(axis, i, length));
    x = sum;
  }
  return x;
}

/// The part of `padded` that lies `offset` from its middle, without `search` + `cut` voxels at each
/// end.
at::Tensor shifted(const at::Tensor& padded,
                   const std::vector<std::int64_t>& axes,
                   const std::vector<std::int64_t>& offset,
                   std::int64_t search,
                   std::int64_t cut) {
  at::Tensor part = padded;
  for (std::size_t i = 0; i < axes.size(); ++i) {
    const std::int64_t length = padded.size(axes[i]) - 2 * (search + cut);
    part = part.narrow(axes[i], search + cut + offset[i], length);
  }
  return part;
}

/// Every offset of [-radius, radius]^axes.
std::vector<std::vector<std::int64_t>> offsets_within(std::int64_t radius, std::size_t axes) {
  std::vector<std::vector<std::int64_t>> offsets = {{}};
  for (std::size_t axis = 0; axis < axes; ++axis) {
    std::vector<std::vector<std::int64_t>> longer;
    for (const std::vector<std::int64_t>& offset : offsets) {
      for (std::int64_t i = -radius; i <= radius; ++i) {
        longer.push_back(offset);
        longer.back().push_back(i);
      }
    }
    offsets = std::move(longer);
  }
  return offsets;
}

}  // namespace

at::Tensor median_filter(const at::Tensor& image, std::int64_t radius) {
  TRIPTYCH_ASSERT(radius >= 0);
  const at::Tensor padded = with_margin(dense_image(image), radius).contiguous();
  at::Tensor result = at::empty_like(image, at::MemoryFormat::Contiguous);
  const std::int64_t height = image.size(2), width = image.size(3);
  const std::int64_t rows = image.numel() / width;
  const std::vector<std::int64_t> axes = spatial_axes(image);
  const std::int64_t row_stride = padded.stride(2), plane_stride = padded.stride(1);
  std::vector<std::int64_t> neighbours;  // relative to the window's first voxel
  for (const std::vector<std::int64_t>& offset : offsets_within(radius, axes.size())) {
    std::int64_t place = 0;
    for (std::size_t i = 0; i < axes.size(); ++i)
      place += (offset[i] + radius) * padded.stride(axes[i]);
    neighbours.push_back(place);
  }
  const float* source = padded.data_ptr<float>();
  float* out = result.data_ptr<float>();
  const std::int64_t depth = image.size(1);
  parallel_for(rows, 16, [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> values(neighbours.size());
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    for (std::int64_t row = begin; row < end; ++row) {
      const std::int64_t channel = row / (depth * height);
      const float* first = source + channel * padded.stride(0) +
                           row / height % depth * plane_stride + row % height * row_stride;
      for (std::int64_t w = 0; w < width; ++w) {
        for (std::size_t i = 0; i < values.size(); ++i) values[i] = first[w + neighbours[i]];
        std::nth_element(values.begin(), middle, values.end());
        out[row * width + w] = *middle;
      }
    }
  });
  return result;
}

at::Tensor total_variation_filter(const at::Tensor& image, double weight, std::int64_t iterations) {
  TRIPTYCH_ASSERT(weight > 0.0 && iterations >= 1);
  const at::NoGradGuard no_gradient;
  const at::Tensor noisy = dense_image(image);
  const std::vector<std::int64_t> axes = spatial_axes(noisy);
  const auto primal = [&](const std::vector<at::Tensor>& dual) {
    at::Tensor u = noisy.clone();
    for (std::size_t i = 0; i < axes.size(); ++i) add_divergence(u, dual[i], axes[i], weight);
    return u;
  };
  std::vector<at::Tensor> dual(axes.size(), at::zeros_like(noisy));
  std::vector<at::Tensor> ahead = dual;
  // The squared norm of the forward differences is at most 4 an axis.
  const double step =
      1.0 / (4.0 * static_cast<double>(std::max<std::size_t>(axes.size(), 1)) * weight);
  double momentum = 1.0;
  for (std::int64_t iteration = 0; iteration < iterations; ++iteration) {
    const at::Tensor u = primal(ahead);
    std::vector<at::Tensor> next;
    at::Tensor square = at::zeros_like(noisy);
    for (std::size_t i = 0; i < axes.size(); ++i) {
      next.push_back(at::add(ahead[i], forward_difference(u, axes[i]), step));
      square.addcmul_(next[i], next[i]);
    }
    const at::Tensor norm = square.sqrt_().clamp_min_(1.0);
    const double next_momentum = 0.5 * (1.0 + std::sqrt(1.0 + 4.0 * momentum * momentum));
    for (std::size_t i = 0; i < axes.size(); ++i) {
      next[i].div_(norm);
      ahead[i] = next[i] + (momentum - 1.0) / next_momentum * (next[i] - dual[i]);
    }
    dual = std::move(next);
    momentum = next_momentum;
  }
  return primal(dual);
}

at::Tensor non_local_means(const at::Tensor& image, const NonLocalMeansOptions& options) {
  TRIPTYCH_ASSERT(options.strength > 0.0 && options.patch_radius >= 0 &&
                  options.search_radius >= 0);
  const at::NoGradGuard no_gradient;
  const at::Tensor noisy = dense_image(image);
  const std::vector<std::int64_t> axes = spatial_axes(noisy);
  const std::int64_t patch = options.patch_radius, search = options.search_radius;
  const at::Tensor padded = with_margin(noisy, search + patch);
  const std::vector<std::int64_t> here(axes.size(), 0);
  const at::Tensor own_patches = shifted(padded, axes, here, search, 0);
  const double patch_voxels = std::pow(2 * patch + 1, static_cast<double>(axes.size()));
  const double factor = -1.0 / (patch_voxels * options.strength * options.strength);
  at::Tensor sum = at::zeros_like(noisy);
  at::Tensor weights = at::zeros_like(noisy);
  for (const std::vector<std::int64_t>& offset : offsets_within(search, axes.size())) {
    const at::Tensor difference = own_patches - shifted(padded, axes, offset, search, 0);
    const at::Tensor weight = patch_sums(difference.square(), axes, patch).mul_(factor).exp_();
    sum.addcmul_(weight, shifted(padded, axes, offset, search, patch));
    weights.add_(weight);
  }
  return sum.div_(weights);
}

}  // namespace triptych
