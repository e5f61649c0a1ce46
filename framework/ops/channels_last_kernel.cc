// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/channels_last_kernel.h"

#include <cstring>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "framework/core/error.h"
#include "framework/ops/fold.h"

// The loops below must be vectorised at every optimisation level of the build.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3", "no-trapping-math")
#endif

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define TRIPTYCH_CLONES __attribute__((target_clones("arch=skylake-avx512", "arch=haswell", "default")))
#else
#define TRIPTYCH_CLONES
#endif

namespace triptych {
namespace {

constexpr auto kFormat = at::MemoryFormat::ChannelsLast;

bool is_plain(const at::Tensor& x) {
  return x.is_cpu() && x.scalar_type() == at::kFloat && x.dim() == 4 && x.is_contiguous(kFormat);
}

/// A NaN on either side wins, as in LibTorch.
inline float larger(float a, float b) { return a > b || a != a ? a : b; }

/// A row of `columns` pooled pixels from two input rows of twice as many.
TRIPTYCH_CLONES void pool_row(
    const float* upper, const float* lower, float* out, std::int64_t columns, std::int64_t channels) {
  for (std::int64_t j = 0; j < columns; ++j, upper += 2 * channels, lower += 2 * channels, out += channels) {
    for (std::int64_t c = 0; c < channels; ++c) {
      const float a = upper[c], b = upper[c + channels], d = lower[c], e = lower[c + channels];
      const float first = larger(a, b), second = larger(d, e);
      out[c] = larger(first, second);
    }
  }
}

TRIPTYCH_CLONES void add_rows(const float* x, const float* bias, float* out, std::int64_t channels) {
  for (std::int64_t c = 0; c < channels; ++c) out[c] = x[c] + bias[c];
}

}  // namespace

at::Tensor max_pool_2x2(const at::Tensor& x) {
  if (!is_plain(x)) return at::max_pool2d(x, 2);
  const std::int64_t n = x.size(0), channels = x.size(1), rows = x.size(2) / 2, columns = x.size(3) / 2;
  at::Tensor y = at::empty({n, channels, rows, columns}, x.options().memory_format(kFormat));
  const float* in = x.data_ptr<float>();
  float* out = y.data_ptr<float>();
  const std::int64_t row_length = x.size(3) * channels;
  at::parallel_for(0, n * rows, 4, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      const float* upper = in + (row / rows * x.size(2) + 2 * (row % rows)) * row_length;
      pool_row(upper, upper + row_length, out + row * columns * channels, columns, channels);
    }
  });
  return y;
}

at::Tensor join_skip(const at::Tensor& skip, const at::Tensor& up, const at::Tensor& bias) {
  const std::int64_t b = bias.size(0), a = skip.size(1);
  if (!is_plain(skip) || !is_plain(up) || bias.scalar_type() != at::kFloat) {
    std::vector<std::int64_t> per_channel(static_cast<std::size_t>(up.dim()), 1);
    per_channel[1] = b;
    const at::Tensor spread = spread_blocks(up, b) + bias.view(per_channel).to(up.scalar_type());
    return at::cat({skip.to(spread.scalar_type()), spread}, 1);
  }
  const std::int64_t n = up.size(0), h = up.size(2), w = up.size(3);
  TRIPTYCH_ASSERT(up.size(1) == 4 * b && skip.size(2) == 2 * h && skip.size(3) == 2 * w);
  at::Tensor y = at::empty({n, a + b, 2 * h, 2 * w}, skip.options().memory_format(kFormat));
  const at::Tensor offsets = bias.contiguous();
  const float* from_skip = skip.data_ptr<float>();
  const float* from_up = up.data_ptr<float>();
  const float* offset = offsets.data_ptr<float>();
  float* out = y.data_ptr<float>();
  at::parallel_for(0, n * 2 * h, 4, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      const float* source = from_up + row / 2 * w * 4 * b;  // 2h rows an image: row / 2 runs over images too
      for (std::int64_t column = 0; column < 2 * w; ++column) {
        float* pixel = out + (row * 2 * w + column) * (a + b);
        std::memcpy(pixel, from_skip + (row * 2 * w + column) * a, static_cast<std::size_t>(a) * sizeof(float));
        const std::int64_t block = 2 * (row % 2) + column % 2;
        add_rows(source + (column / 2 * 4 + block) * b, offset, pixel + a, b);
      }
    }
  });
  return y;
}

}  // namespace triptych
