// SPDX-License-Identifier: Apache-2.0
#include "framework/image/smooth.h"

#include "framework/core/error.h"
#include "framework/core/parallel.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include <ATen/ATen.h>

namespace triptych {
namespace {

/// Weights of offsets -radius..radius.
std::vector<float> gaussian_kernel(double sigma) {
  const auto radius = std::max<std::int64_t>(1, std::llround(std::ceil(4.0 * sigma)));
  std::vector<double> weights(2 * radius + 1);
  double sum = 0.0;
  for (std::int64_t offset = -radius; offset <= radius; ++offset) {
    const double distance = static_cast<double>(offset) / sigma;
    sum += weights[offset + radius] = std::exp(-0.5 * distance * distance);
  }
  std::vector<float> kernel;
  for (const double weight : weights) kernel.push_back(static_cast<float>(weight / sum));
  return kernel;
}

}  // namespace

at::Tensor smooth_axis(const at::Tensor& data, int axis, double sigma) {
  TRIPTYCH_ASSERT(data.dim() == 4 && data.scalar_type() == at::kFloat && axis >= 1 && axis <= 3);
  const std::int64_t size = data.size(axis);
  if (sigma < 1e-3 || size < 2) return data;
  const std::vector<float> kernel = gaussian_kernel(sigma);
  const auto radius = static_cast<std::int64_t>(kernel.size() / 2);
  const at::Tensor source = data.contiguous();
  at::Tensor result = at::empty_like(source);
  std::int64_t inner = 1;  // voxels between two neighbours along the axis
  for (int later = axis + 1; later < 4; ++later) inner *= data.size(later);
  const std::int64_t outer = source.numel() / (inner * size);
  const float* from = source.data_ptr<float>();
  float* to = result.data_ptr<float>();
  // One job is one line of `inner` voxels at one position of the axis; its loop over `inner`
  // vectorises.
  const std::int64_t grain = std::max<std::int64_t>(1, 16384 / inner);
  parallel_for(outer * size, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t job = begin; job < end; ++job) {
      const std::int64_t first = job / size * size;
      const std::int64_t position = job % size;
      float* out = to + job * inner;
      std::fill_n(out, inner, 0.0f);
      for (std::int64_t tap = 0; tap < static_cast<std::int64_t>(kernel.size()); ++tap) {
        const std::int64_t neighbour =
            std::clamp<std::int64_t>(position + tap - radius, 0, size - 1);
        const float* in = from + (first + neighbour) * inner;
        for (std::int64_t i = 0; i < inner; ++i) out[i] += kernel[tap] * in[i];
      }
    }
  });
  return result;
}

}  // namespace triptych
