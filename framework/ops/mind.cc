// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/mind.h"

#include "framework/core/error.h"
#include "framework/core/parallel.h"
#include "framework/core/shape.h"
#include "framework/ops/box_filter.h"
#include "framework/ops/cpu_dispatch.h"
#include "framework/ops/vector_math.h"

#include <array>
#include <cmath>
#include <vector>

#include <ATen/ATen.h>

// The loops over voxels must be vectorised at every optimisation level of the build.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3", "no-trapping-math", "no-math-errno")
#endif

namespace triptych {
namespace {

constexpr double kLowestVariance = 1e-3, kHighestVariance = 1e3;  ///< of its mean
constexpr float kTinyVariance = 1e-30F;  ///< keeps a constant image from dividing by zero
constexpr std::int64_t kVoxelsAtOnce = 1 << 14;

using Offset = std::array<std::int64_t, 3>;  ///< in dilations along D, H, W
struct NeighbourPair {
  Offset first, second;
};

std::vector<NeighbourPair> neighbour_pairs() {
  const std::array<Offset, 6> neighbours{
      {{0, 0, -1}, {0, 0, 1}, {0, -1, 0}, {0, 1, 0}, {-1, 0, 0}, {1, 0, 0}}};
  std::vector<NeighbourPair> pairs;
  for (std::size_t a = 0; a < 6; ++a) {
    for (std::size_t b = a + 1; b < 6; ++b) {
      if (a / 2 != b / 2) pairs.push_back({neighbours[a], neighbours[b]});
    }
  }
  return pairs;
}

at::Tensor padded(const at::Tensor& x, std::int64_t margin) {
  return at::replication_pad3d(x, {margin, margin, margin, margin, margin, margin});
}

at::Tensor mind_by_tensors(const at::Tensor& image, const MindOptions& options) {
  const std::int64_t dilation = options.dilation, window = 2 * options.radius + 1;
  const at::Tensor wide = padded(image, dilation);
  const auto shifted = [&](const Offset& offset) {
    at::Tensor part = wide;
    for (std::size_t axis = 0; axis < 3; ++axis) {
      const auto a = static_cast<std::int64_t>(axis) + 2;
      part = part.narrow(a, dilation * (1 + offset[axis]), image.size(a));
    }
    return part;
  };
  std::vector<at::Tensor> distances;
  for (const NeighbourPair& pair : neighbour_pairs())
    distances.push_back((shifted(pair.first) - shifted(pair.second)).square());
  const at::Tensor means =
      at::avg_pool3d(padded(at::cat(distances, 1), options.radius), {window, window, window}, 1);
  const at::Tensor above = means - means.amin(1, true);
  const at::Tensor variance = above.mean(1, true);
  const at::Tensor mean = variance.detach().mean({1, 2, 3, 4}, true);
  const at::Tensor held =
      at::minimum(at::maximum(variance, kLowestVariance * mean), kHighestVariance * mean);
  return at::exp(-above / held.clamp_min(kTinyVariance));
}

TRIPTYCH_ALWAYS_INLINE void squared_differences_body(const float* a,
                                                     const float* b,
                                                     std::int64_t n,
                                                     float* __restrict out) {
  for (std::int64_t i = 0; i < n; ++i) {
    const float difference = a[i] - b[i];
    out[i] = difference * difference;
  }
}
TRIPTYCH_VECTOR_KERNEL(squared_differences,
                       (const float* a, const float* b, std::int64_t n, float* __restrict out),
                       (a, b, n, out))

/// Smallest and mean excess over it of the twelve values of each voxel.
TRIPTYCH_ALWAYS_INLINE void find_variances_body(const float* distances,
                                                std::int64_t voxels,
                                                std::int64_t n,
                                                float* __restrict smallest,
                                                float* __restrict variances) {
  for (std::int64_t i = 0; i < n; ++i) {
    float least = distances[i], sum = distances[i];
#pragma GCC unroll 12
    for (std::int64_t c = 1; c < kMindChannels; ++c) {
      const float d = distances[c * voxels + i];
      least = d < least ? d : least;
      sum += d;
    }
    smallest[i] = least;
    const float excess = sum * (1.0F / kMindChannels) - least;
    variances[i] = excess > 0.0F ? excess : 0.0F;
  }
}
TRIPTYCH_VECTOR_KERNEL(find_variances,
                       (const float* distances,
                        std::int64_t voxels,
                        std::int64_t n,
                        float* __restrict smallest,
                        float* __restrict variances),
                       (distances, voxels, n, smallest, variances))

TRIPTYCH_ALWAYS_INLINE void make_descriptors_body(float* distances,
                                                  const float* smallest,
                                                  const float* variances,
                                                  std::int64_t n,
                                                  float low,
                                                  float high) {
  for (std::int64_t i = 0; i < n; ++i) {
    float variance = variances[i];
    variance = variance > low ? variance : low;
    variance = variance < high ? variance : high;
    const float x = (smallest[i] - distances[i]) / variance;
    distances[i] = bounded_exp(x > -87.0F ? x : -87.0F);
  }
}
TRIPTYCH_VECTOR_KERNEL(make_descriptors,
                       (float* distances,
                        const float* smallest,
                        const float* variances,
                        std::int64_t n,
                        float low,
                        float high),
                       (distances, smallest, variances, n, low, high))

/// One item at a time: distances in the result, then descriptors in place.
class MindKernel {
 public:
  MindKernel(const at::Tensor& image, const MindOptions& options)
      : shape_{image.size(2), image.size(3), image.size(4)},
        voxels_(shape_[0] * shape_[1] * shape_[2]),
        options_(options),
        pairs_(neighbour_pairs()),
        planes_(at::empty({voxels_}, image.options())),
        smallest_(at::empty({voxels_}, image.options())),
        variances_(at::empty({voxels_}, image.options())) {}

  /// `wide`: the item with `dilation` repeated voxels about it.
  void run(const float* wide, float* result) {
    for (std::size_t c = 0; c < pairs_.size(); ++c)
      patch_distances(wide, pairs_[c], result + static_cast<std::int64_t>(c) * voxels_);
    const double mean = mean_variance(result);
    const auto low = std::max(static_cast<float>(kLowestVariance * mean), kTinyVariance);
    const auto high = std::max(static_cast<float>(kHighestVariance * mean), kTinyVariance);
    parallel_for(voxels_, kVoxelsAtOnce, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t c = 0; c < kMindChannels; ++c) {
        make_descriptors(result + c * voxels_ + begin,
                         smallest_.data_ptr<float>() + begin,
                         variances_.data_ptr<float>() + begin,
                         end - begin,
                         low,
                         high);
      }
    });
  }

 private:
  void patch_distances(const float* wide, const NeighbourPair& pair, float* result) {
    const std::int64_t d = options_.dilation;
    const std::int64_t height = shape_[1] + 2 * d, width = shape_[2] + 2 * d;
    const auto row_at = [&](const Offset& offset, std::int64_t z, std::int64_t y) {
      return wide + ((z + d * (1 + offset[0])) * height + y + d * (1 + offset[1])) * width +
             d * (1 + offset[2]);
    };
    const std::int64_t r = options_.radius, window = 2 * r + 1;
    const BoxTask task{
        shape_, {r, r, r}, true, 1.0F / static_cast<float>(window * window * window)};
    box_sum_rows(
        task,
        [&](std::int64_t z, std::int64_t y, float* row) {
          squared_differences(row_at(pair.first, z, y), row_at(pair.second, z, y), shape_[2], row);
        },
        planes_.data_ptr<float>(),
        result);
  }

  double mean_variance(const float* distances) {
    std::vector<double> sums(
        static_cast<std::size_t>((voxels_ + kVoxelsAtOnce - 1) / kVoxelsAtOnce), 0.0);
    parallel_for(voxels_, kVoxelsAtOnce, [&](std::int64_t begin, std::int64_t end) {
      float* variances = variances_.data_ptr<float>() + begin;
      find_variances(
          distances + begin, voxels_, end - begin, smallest_.data_ptr<float>() + begin, variances);
      double sum = 0.0;
      for (std::int64_t i = 0; i < end - begin; ++i) sum += variances[i];
      sums[static_cast<std::size_t>(begin / kVoxelsAtOnce)] = sum;
    });
    double sum = 0.0;
    for (const double part : sums) sum += part;
    return sum / static_cast<double>(voxels_);
  }

  Index3 shape_;
  std::int64_t voxels_;
  MindOptions options_;
  std::vector<NeighbourPair> pairs_;
  at::Tensor planes_, smallest_, variances_;
};

}  // namespace

at::Tensor mind_ssc(const at::Tensor& image, const MindOptions& options) {
  check_shape(image, {kAny, 1, kAny, kAny, kAny}, "image for MIND descriptors");
  TRIPTYCH_ASSERT(options.radius >= 0 && options.dilation >= 1);
  const bool differentiable = at::GradMode::is_enabled() && image.requires_grad();
  if (differentiable || !image.is_cpu() || image.scalar_type() != at::kFloat)
    return mind_by_tensors(image, options);
  const at::NoGradGuard no_grad;
  at::Tensor result = at::empty(
      {image.size(0), kMindChannels, image.size(2), image.size(3), image.size(4)}, image.options());
  const at::Tensor wide = padded(image, options.dilation).contiguous();
  MindKernel kernel(image, options);
  for (std::int64_t item = 0; item < image.size(0); ++item)
    kernel.run(wide[item].data_ptr<float>(), result[item].data_ptr<float>());
  return result;
}

}  // namespace triptych
