// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/winograd.h"

#include "framework/core/error.h"

#include <algorithm>
#include <memory>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#if defined(__x86_64__) && defined(__GNUC__)
#define TRIPTYCH_WINOGRAD 1
#include <immintrin.h>
#define TRIPTYCH_AVX512 __attribute__((target("avx512f")))
#define TRIPTYCH_AVX512_INLINE __attribute__((target("avx512f"), always_inline)) inline
#endif

// Register blocks must be unrolled at every optimisation level of the build.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3")
// g++ 12 warns of _mm512_undefined_ps inside its own intrinsics.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

namespace triptych {
namespace {

constexpr std::int64_t kLanes = 16;
constexpr std::int64_t kPanel = 32;      ///< output channels of a register block
constexpr std::int64_t kPositions = 16;  ///< 4 x 4 products of a tile
constexpr std::int64_t kLargest =
    1 << 20;  ///< in * out beyond which the transformed weights are too big
constexpr std::int64_t kCacheFloats =
    180'000;  ///< of a thread's tiles: what a level-2 cache of 1 MB holds beside weights

#ifdef TRIPTYCH_WINOGRAD

/// What one call works on. Tiles are numbered row by row over the batch.
struct Problem {
  const float* x;
  const float* weights;
  const float* bias;
  float* y;
  std::int64_t in, out, height, width, tile_rows, tile_columns;
  Activation activation;
  const float* zeros;  ///< [in], stands for pixels outside the image
};

TRIPTYCH_AVX512_INLINE __m512 mish512(__m512 x) {
  // The clamps return x when x is NaN. Below -100 the result is zero in float32, beyond 20 it is x.
  const __m512 low = _mm512_max_ps(_mm512_set1_ps(-100.0F), x);
  const __m512 z = _mm512_min_ps(_mm512_set1_ps(20.0F), low);
  const __m512 k = _mm512_roundscale_ps(_mm512_mul_ps(z, _mm512_set1_ps(1.44269504F)), 0);
  __m512 r = _mm512_fnmadd_ps(k, _mm512_set1_ps(0.693359375F), z);
  r = _mm512_fmadd_ps(k, _mm512_set1_ps(2.12194440e-4F), r);
  __m512 p = _mm512_set1_ps(1.0F / 720.0F);
  for (const float coefficient : {1.0F / 120.0F, 1.0F / 24.0F, 1.0F / 6.0F, 0.5F, 1.0F, 1.0F}) {
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(coefficient));
  }
  const __m512 e = _mm512_scalef_ps(p, k), two = _mm512_set1_ps(2.0F);
  const __m512 n = _mm512_mul_ps(e, _mm512_add_ps(e, two));
  return _mm512_mul_ps(low, _mm512_div_ps(n, _mm512_add_ps(n, two)));
}

TRIPTYCH_AVX512_INLINE __m512 activated(__m512 x, Activation activation) {
  if (activation == Activation::kMish) return mish512(x);
  if (activation == Activation::kIdentity) return x;
  const __m512 slope = _mm512_set1_ps(activation == Activation::kRelu ? 0.0F : 0.01F);
  const __mmask16 negative = _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_LT_OQ);
  return _mm512_mask_mul_ps(x, negative, x, slope);
}

/// v[position][tile][in] = B^T d B of the 4x4 patches d of tiles [first, first + count).
TRIPTYCH_AVX512 void transform_input(const Problem& p,
                                     std::int64_t first,
                                     std::int64_t count,
                                     float* v) {
  const std::int64_t step = count * p.in, per_image = p.tile_rows * p.tile_columns;
  for (std::int64_t t = 0; t < count; ++t) {
    const std::int64_t image = (first + t) / per_image, tile = (first + t) % per_image;
    const std::int64_t top = 2 * (tile / p.tile_columns) - 1,
                       left = 2 * (tile % p.tile_columns) - 1;
    const float* pixels[4][4];
    for (std::int64_t i = 0; i < 4; ++i) {
      for (std::int64_t j = 0; j < 4; ++j) {
        const std::int64_t row = top + i, column = left + j;
        const bool inside = row >= 0 && column >= 0 && row < p.height && column < p.width;
        pixels[i][j] =
            inside ? p.x + ((image * p.height + row) * p.width + column) * p.in : p.zeros;
      }
    }
    for (std::int64_t c = 0; c < p.in; c += kLanes) {
      __m512 d[4][4];
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) {
        const __m512 d0 = _mm512_loadu_ps(pixels[0][j] + c), d1 = _mm512_loadu_ps(pixels[1][j] + c);
        const __m512 d2 = _mm512_loadu_ps(pixels[2][j] + c), d3 = _mm512_loadu_ps(pixels[3][j] + c);
        d[0][j] = _mm512_sub_ps(d0, d2);
        d[1][j] = _mm512_add_ps(d1, d2);
        d[2][j] = _mm512_sub_ps(d2, d1);
        d[3][j] = _mm512_sub_ps(d1, d3);
      }
      float* out = v + t * p.in + c;
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) {
        _mm512_storeu_ps(out + (4 * i + 0) * step, _mm512_sub_ps(d[i][0], d[i][2]));
        _mm512_storeu_ps(out + (4 * i + 1) * step, _mm512_add_ps(d[i][1], d[i][2]));
        _mm512_storeu_ps(out + (4 * i + 2) * step, _mm512_sub_ps(d[i][2], d[i][1]));
        _mm512_storeu_ps(out + (4 * i + 3) * step, _mm512_sub_ps(d[i][1], d[i][3]));
      }
    }
  }
}

/// m [kRows, 32 of stride m_step] = v [kRows, in] * u [in, 32], all in registers.
template <int kRows>
TRIPTYCH_AVX512 void multiply_rows(
    const float* v, const float* u, float* m, std::int64_t in, std::int64_t m_step) {
  __m512 sum[kRows][2];
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r) sum[r][0] = sum[r][1] = _mm512_setzero_ps();
  for (std::int64_t c = 0; c < in; ++c) {
    const __m512 left = _mm512_loadu_ps(u + c * kPanel),
                 right = _mm512_loadu_ps(u + c * kPanel + kLanes);
#pragma GCC unroll 12
    for (int r = 0; r < kRows; ++r) {
      const __m512 value = _mm512_set1_ps(v[r * in + c]);
      sum[r][0] = _mm512_fmadd_ps(value, left, sum[r][0]);
      sum[r][1] = _mm512_fmadd_ps(value, right, sum[r][1]);
    }
  }
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r) {
    _mm512_storeu_ps(m + r * m_step, sum[r][0]);
    _mm512_storeu_ps(m + r * m_step + kLanes, sum[r][1]);
  }
}

/// All tiles of one position and one panel of output channels. A row's sum has one order whatever
/// block it falls into.
TRIPTYCH_AVX512 void multiply(const float* v,
                              const float* u,
                              float* m,
                              std::int64_t count,
                              std::int64_t in,
                              std::int64_t m_step) {
  std::int64_t t = 0;
  for (; t + 12 <= count; t += 12) multiply_rows<12>(v + t * in, u, m + t * m_step, in, m_step);
  for (; t + 4 <= count; t += 4) multiply_rows<4>(v + t * in, u, m + t * m_step, in, m_step);
  for (; t < count; ++t) multiply_rows<1>(v + t * in, u, m + t * m_step, in, m_step);
}

/// y = activation(A^T m A + bias) for m [position][tile][channels] and output channels [k_first,
/// k_first + channels).
TRIPTYCH_AVX512 void transform_output(const Problem& p,
                                      std::int64_t first,
                                      std::int64_t count,
                                      std::int64_t k_first,
                                      std::int64_t channels,
                                      const float* m) {
  const std::int64_t step = count * channels, per_image = p.tile_rows * p.tile_columns;
  for (std::int64_t t = 0; t < count; ++t) {
    const std::int64_t image = (first + t) / per_image, tile = (first + t) % per_image;
    const std::int64_t row = 2 * (tile / p.tile_columns), column = 2 * (tile % p.tile_columns);
    float* corner = p.y + ((image * p.height + row) * p.width + column) * p.out + k_first;
    const bool lower = row + 1 < p.height, right = column + 1 < p.width;
    for (std::int64_t k = 0; k < channels; k += kLanes) {
      const float* in = m + t * channels + k;
      __m512 s[2][4];
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) {
        const __m512 m0 = _mm512_loadu_ps(in + j * step), m1 = _mm512_loadu_ps(in + (4 + j) * step);
        const __m512 m2 = _mm512_loadu_ps(in + (8 + j) * step),
                     m3 = _mm512_loadu_ps(in + (12 + j) * step);
        s[0][j] = _mm512_add_ps(_mm512_add_ps(m0, m1), m2);
        s[1][j] = _mm512_sub_ps(_mm512_sub_ps(m1, m2), m3);
      }
      const __m512 bias = _mm512_loadu_ps(p.bias + k_first + k);
#pragma GCC unroll 2
      for (int i = 0; i < 2; ++i) {
        if (i == 1 && !lower) break;
        float* out = corner + i * p.width * p.out + k;
        const __m512 even =
            _mm512_add_ps(_mm512_add_ps(s[i][0], s[i][1]), _mm512_add_ps(s[i][2], bias));
        _mm512_storeu_ps(out, activated(even, p.activation));
        if (!right) continue;
        const __m512 odd =
            _mm512_add_ps(_mm512_sub_ps(s[i][1], s[i][2]), _mm512_sub_ps(bias, s[i][3]));
        _mm512_storeu_ps(out + p.out, activated(odd, p.activation));
      }
    }
  }
}

/// Scratch of a thread, 64-byte aligned, kept between calls.
float* thread_scratch(std::int64_t floats) {
  thread_local std::unique_ptr<float[]> memory;
  thread_local std::int64_t size = 0;
  if (size < floats + kLanes) {
    size = floats + kLanes;
    memory.reset(new float[static_cast<std::size_t>(size)]);
  }
  void* place = memory.get();
  std::size_t space = static_cast<std::size_t>(size) * sizeof(float);
  return static_cast<float*>(
      std::align(64, static_cast<std::size_t>(floats) * sizeof(float), place, space));
}

/// Tiles [first, first + count), panels [panel, panel_end) of output channels.
void run_block(const Problem& p,
               std::int64_t first,
               std::int64_t count,
               std::int64_t panel,
               std::int64_t panel_end) {
  const std::int64_t channels = (panel_end - panel) * kPanel, panels = p.out / kPanel;
  float* v = thread_scratch(kPositions * count * (p.in + channels));
  float* m = v + kPositions * count * p.in;
  transform_input(p, first, count, v);
  for (std::int64_t position = 0; position < kPositions; ++position) {
    for (std::int64_t k = panel; k < panel_end; ++k) {
      multiply(v + position * count * p.in,
               p.weights + (position * panels + k) * p.in * kPanel,
               m + position * count * channels + (k - panel) * kPanel,
               count,
               p.in,
               channels);
    }
  }
  transform_output(p, first, count, panel * kPanel, channels, m);
}

void run(const Problem& p, std::int64_t images) {
  const std::int64_t tiles = images * p.tile_rows * p.tile_columns, panels = p.out / kPanel,
                     threads = at::get_num_threads();
  const std::int64_t fitting = kCacheFloats / (kPositions * (p.in + p.out)) / 12 * 12;
  const std::int64_t block = std::clamp<std::int64_t>(fitting, 48, 480);
  const std::int64_t blocks = (tiles + block - 1) / block;
  // Few tiles (deep levels): the threads share the output channels instead, and each transforms the
  // input for itself.
  const std::int64_t splits = blocks >= 2 * threads ? 1 : std::min(panels, threads);
  at::parallel_for(0, blocks * splits, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t item = begin; item < end; ++item) {
      const std::int64_t first = item / splits * block, split = item % splits;
      run_block(p,
                first,
                std::min(block, tiles - first),
                panels * split / splits,
                panels * (split + 1) / splits);
    }
  });
}

bool has_avx512() { return __builtin_cpu_supports("avx512f") != 0; }

#else

bool has_avx512() { return false; }

#endif

}  // namespace

bool WinogradConvolution::serves(const at::Tensor& weight) {
  return has_avx512() && weight.dim() == 4 && weight.is_cpu() &&
         weight.scalar_type() == at::kFloat && weight.size(2) == 3 && weight.size(3) == 3 &&
         weight.size(1) % kLanes == 0 && weight.size(0) % kPanel == 0 &&
         weight.size(0) * weight.size(1) <= kLargest;
}

WinogradConvolution::WinogradConvolution(const at::Tensor& weight)
    : in_(weight.size(1)), out_(weight.size(0)) {
  TRIPTYCH_ASSERT(serves(weight));
  const at::Tensor g =
      at::tensor({1.0, 0.0, 0.0, 0.5, 0.5, 0.5, 0.5, -0.5, 0.5, 0.0, 0.0, 1.0}, at::kDouble)
          .view({4, 3});
  const at::Tensor u =
      at::matmul(at::matmul(g, weight.to(at::kDouble).contiguous()), g.t());  // [out, in, 4, 4]
  transformed_ = u.permute({2, 3, 0, 1})
                     .reshape({kPositions, out_ / kPanel, kPanel, in_})
                     .transpose(2, 3)
                     .to(at::kFloat)
                     .contiguous();
}

at::Tensor WinogradConvolution::forward(const at::Tensor& x,
                                        const at::Tensor& bias,
                                        Activation activation) const {
  TRIPTYCH_ASSERT(x.dim() == 4 && x.size(1) == in_ && x.scalar_type() == at::kFloat && x.is_cpu());
  const at::Tensor input = x.contiguous(at::MemoryFormat::ChannelsLast);
  const std::int64_t n = x.size(0), h = x.size(2), w = x.size(3);
  at::Tensor y =
      at::empty({n, out_, h, w}, input.options().memory_format(at::MemoryFormat::ChannelsLast));
  if (y.numel() == 0) return y;
#ifdef TRIPTYCH_WINOGRAD
  const at::Tensor offset =
      bias.defined() ? bias.to(at::kFloat).contiguous() : at::zeros({out_}, at::kFloat);
  const at::Tensor zeros = at::zeros({in_}, at::kFloat);
  const Problem problem{.x = input.data_ptr<float>(),
                        .weights = transformed_.data_ptr<float>(),
                        .bias = offset.data_ptr<float>(),
                        .y = y.data_ptr<float>(),
                        .in = in_,
                        .out = out_,
                        .height = h,
                        .width = w,
                        .tile_rows = (h + 1) / 2,
                        .tile_columns = (w + 1) / 2,
                        .activation = activation,
                        .zeros = zeros.data_ptr<float>()};
  run(problem, n);
#endif
  return y;
}

}  // namespace triptych
