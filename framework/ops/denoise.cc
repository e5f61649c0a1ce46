// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/denoise.h"

#include "framework/core/error.h"
#include "framework/core/parallel.h"
#include "framework/ops/forward_difference.h"

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

/// Sums of weights below which no patch counts as alike.
constexpr float kLeastWeight = 1e-30F;

/// Means of the voxels of `source`, weighted by the likeness of patches of `image` to patches of
/// it, one plane [H, W] at a time.
class PlaneMeans {
 public:
  /// Axes of one voxel have neither margin nor neighbours.
  PlaneMeans(const at::Tensor& image, const at::Tensor& source, const NonLocalMeansOptions& options)
      : size_{image.size(1), image.size(2), image.size(3)} {
    for (std::size_t axis = 0; axis < 3; ++axis) {
      if (size_[axis] == 1) continue;
      patch_[axis] = options.patch_radius;
      search_[axis] = options.search_radius;
    }
    const std::int64_t margin = options.patch_radius + options.search_radius;
    padded_ = with_margin(image, margin).contiguous();
    source_ = source.is_same(image) ? padded_ : with_margin(source, margin).contiguous();
    const double voxels =
        static_cast<double>((2 * patch_[0] + 1) * (2 * patch_[1] + 1) * (2 * patch_[2] + 1));
    factor_ = static_cast<float>(-1.0 / (voxels * options.strength * options.strength));
    squares_.resize(
        static_cast<std::size_t>((size_[1] + 2 * patch_[1]) * (size_[2] + 2 * patch_[2])));
    columns_.resize(static_cast<std::size_t>(size_[2] + 2 * patch_[2]));
    weights_.resize(static_cast<std::size_t>(size_[1] * size_[2]));
  }

  /// Plane `d` of channel `c` to out [H, W].
  void restore(std::int64_t c, std::int64_t d, float* out) {
    const std::int64_t pixels = size_[1] * size_[2];
    std::fill(out, out + pixels, 0.0F);
    std::fill(weights_.begin(), weights_.end(), 0.0F);
    const float* centre = voxel(padded_, c, d);
    const float* source = voxel(source_, c, d);
    for (std::int64_t z = -search_[0]; z <= search_[0]; ++z) {
      for (std::int64_t y = -search_[1]; y <= search_[1]; ++y) {
        for (std::int64_t x = -search_[2]; x <= search_[2]; ++x)
          add_neighbours(centre, source + z * padded_.stride(1) + y * padded_.stride(2) + x, out);
      }
    }
    for (std::int64_t i = 0; i < pixels; ++i) {
      const float total = weights_[static_cast<std::size_t>(i)];
      const float own = centre[i / size_[2] * padded_.stride(2) + i % size_[2]];
      out[i] = total > kLeastWeight ? out[i] / total : own;
    }
  }

 private:
  /// First voxel of plane d, within the margins.
  const float* voxel(const at::Tensor& padded, std::int64_t c, std::int64_t d) const {
    const auto margin = [&](std::size_t axis) { return patch_[axis] + search_[axis]; };
    return padded.data_ptr<float>() + c * padded.stride(0) + (d + margin(0)) * padded.stride(1) +
           margin(1) * padded.stride(2) + margin(2);
  }

  /// Adds the neighbours of the plane that begin at `other`, weighted by the likeness of their
  /// patches.
  void add_neighbours(const float* centre, const float* other, float* out) {
    sum_squares_along_depth(centre, other);
    const std::int64_t line = padded_.stride(2), wide = size_[2] + 2 * patch_[2];
    for (std::int64_t h = 0; h < size_[1]; ++h) {
      std::fill(columns_.begin(), columns_.end(), 0.0F);
      for (std::int64_t k = 0; k <= 2 * patch_[1]; ++k) {
        const float* row = squares_.data() + (h + k) * wide;
        for (std::int64_t w = 0; w < wide; ++w) columns_[static_cast<std::size_t>(w)] += row[w];
      }
      const float* neighbours = other + h * line;
      float* weights = weights_.data() + h * size_[2];
      for (std::int64_t w = 0; w < size_[2]; ++w) {
        float distance = 0.0F;
        for (std::int64_t k = 0; k <= 2 * patch_[2]; ++k)
          distance += columns_[static_cast<std::size_t>(w + k)];
        const float weight = std::exp(factor_ * distance);
        out[h * size_[2] + w] += weight * neighbours[w];
        weights[w] += weight;
      }
    }
  }

  /// squares_ [H + 2 patch, W + 2 patch]: squared differences, summed over the planes of a patch.
  void sum_squares_along_depth(const float* centre, const float* other) {
    const std::int64_t plane = padded_.stride(1), line = padded_.stride(2);
    const std::int64_t wide = size_[2] + 2 * patch_[2];
    for (std::int64_t h = -patch_[1]; h < size_[1] + patch_[1]; ++h) {
      float* sums = squares_.data() + (h + patch_[1]) * wide;
      std::fill(sums, sums + wide, 0.0F);
      for (std::int64_t z = -patch_[0]; z <= patch_[0]; ++z) {
        const std::int64_t row = z * plane + h * line - patch_[2];
        for (std::int64_t w = 0; w < wide; ++w) {
          const float difference = centre[row + w] - other[row + w];
          sums[w] += difference * difference;
        }
      }
    }
  }

  std::array<std::int64_t, 3> size_;  ///< D, H, W
  std::array<std::int64_t, 3> patch_{0, 0, 0}, search_{0, 0, 0};
  at::Tensor padded_, source_;  ///< equal strides
  float factor_ = 0.0F;
  std::vector<float> squares_, columns_, weights_;
};

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
  return non_local_means_of(image, image, options);
}

at::Tensor non_local_means_of(const at::Tensor& image,
                              const at::Tensor& source,
                              const NonLocalMeansOptions& options) {
  TRIPTYCH_ASSERT(options.strength > 0.0 && options.patch_radius >= 0 &&
                  options.search_radius >= 0 && image.sizes() == source.sizes());
  const at::Tensor noisy = dense_image(image);
  const at::Tensor other = source.is_same(image) ? noisy : dense_image(source);
  at::Tensor result = at::empty_like(noisy);
  float* out = result.data_ptr<float>();
  const std::int64_t depth = noisy.size(1), pixels = noisy.size(2) * noisy.size(3);
  const PlaneMeans prepared(noisy, other, options);
  parallel_for(noisy.size(0) * depth, 1, [&](std::int64_t begin, std::int64_t end) {
    PlaneMeans means = prepared;  // shares the image, has buffers of its own
    for (std::int64_t plane = begin; plane < end; ++plane)
      means.restore(plane / depth, plane % depth, out + plane * pixels);
  });
  return result;
}

}  // namespace triptych
