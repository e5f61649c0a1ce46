// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/channels_last_kernel.h"

#include "framework/core/error.h"
#include "framework/ops/cpu_dispatch.h"
#include "framework/ops/fold.h"

#include <vector>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

// The loops below must be vectorised at every optimisation level of the build.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3", "no-trapping-math")
#endif

namespace triptych {
namespace {

constexpr auto kFormat = at::MemoryFormat::ChannelsLast;

bool is_plain(const at::Tensor& x) {
  return x.is_cpu() && x.scalar_type() == at::kFloat && x.dim() == 4 && x.is_contiguous(kFormat);
}

/// A NaN on either side wins, as in LibTorch. Two selections instead of a condition with `or`,
/// which would branch.
TRIPTYCH_ALWAYS_INLINE float larger(float a, float b) {
  const float larger_number = a > b ? a : b;  // b when one is NaN
  return a != a ? a : larger_number;
}

/// A row of `columns` pooled pixels from two input rows of twice as many.
TRIPTYCH_ALWAYS_INLINE void pool_row_body(const float* upper,
                                          const float* lower,
                                          float* out,
                                          std::int64_t columns,
                                          std::int64_t channels) {
  for (std::int64_t j = 0; j < columns;
       ++j, upper += 2 * channels, lower += 2 * channels, out += channels) {
    const float* __restrict a = upper;
    const float* __restrict b = upper + channels;
    const float* __restrict d = lower;
    const float* __restrict e = lower + channels;
    float* __restrict y = out;
    for (std::int64_t c = 0; c < channels; ++c)
      y[c] = larger(larger(a[c], b[c]), larger(d[c], e[c]));
  }
}

TRIPTYCH_VECTOR_KERNEL(pool_row,
                       (const float* upper,
                        const float* lower,
                        float* out,
                        std::int64_t columns,
                        std::int64_t channels),
                       (upper, lower, out, columns, channels))

/// One image row of the joined result, `columns` pixels: skip's channels, then those of the block
/// pixels plus bias. `up` points at the block row of the first pixel.
TRIPTYCH_ALWAYS_INLINE void join_row_body(const float* skip,
                                          const float* up,
                                          const float* bias,
                                          float* out,
                                          std::int64_t columns,
                                          std::int64_t a,
                                          std::int64_t b) {
  for (std::int64_t column = 0; column < columns; ++column, skip += a, out += a + b) {
    const float* source = up + (column / 2 * 4 + column % 2) * b;
    for (std::int64_t c = 0; c < a; ++c) out[c] = skip[c];
    for (std::int64_t c = 0; c < b; ++c) out[a + c] = source[c] + bias[c];
  }
}
TRIPTYCH_VECTOR_KERNEL(join_row,
                       (const float* skip,
                        const float* up,
                        const float* bias,
                        float* out,
                        std::int64_t columns,
                        std::int64_t a,
                        std::int64_t b),
                       (skip, up, bias, out, columns, a, b))

}  // namespace

at::Tensor max_pool_2x2(const at::Tensor& x) {
  if (!is_plain(x)) return at::max_pool2d(x, 2);
  const std::int64_t n = x.size(0), channels = x.size(1), rows = x.size(2) / 2,
                     columns = x.size(3) / 2;
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
      // 2h rows an image, so row / 2 runs over the images too.
      join_row(from_skip + row * 2 * w * a,
               from_up + row / 2 * w * 4 * b + 2 * (row % 2) * b,
               offset,
               out + row * 2 * w * (a + b),
               2 * w,
               a,
               b);
    }
  });
  return y;
}

}  // namespace triptych
