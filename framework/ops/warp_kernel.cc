// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/warp_kernel.h"

#include "framework/ops/warp_taps.h"

#include <algorithm>
#include <cmath>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define TRIPTYCH_WARP_PAIRS 1
#include <immintrin.h>
#endif

// The loops over lanes must be vectorised at every optimisation level of the build.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3", "no-trapping-math", "no-math-errno")
// g++ 12 warns of _mm256_undefined_pd inside its own intrinsics.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

// Tuning for processors in general loads every lane alone instead of gathering.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#pragma GCC target("tune=skylake-avx512")
#endif

namespace triptych {
namespace {

using namespace warp_detail;

template <int kTaps>
TRIPTYCH_ALWAYS_INLINE void sample_taps(const WarpTask& task,
                                        const TargetRow& row,
                                        const float* image,
                                        float* result) {
  Positions positions;
  Taps<kTaps> taps;
  alignas(64) float sums[kLanes];
  const std::int64_t width = task.target[2];
  const std::int64_t image_voxels = volume(task.image), voxels = volume(task.target);
  for (std::int64_t first = 0; first < width; first += kLanes) {
    const int count = static_cast<int>(width - first < kLanes ? width - first : kLanes);
    find_positions(task, row, first, count, positions);
    find_taps<kTaps>(task, positions, taps);
    for (std::int64_t c = 0; c < task.channels; ++c) {
      const float* v = image + (row.item * task.channels + c) * image_voxels;
      float* out = result + (row.item * task.channels + c) * voxels + row.first_voxel + first;
      for (int i = 0; i < kLanes; ++i) {
        float sum = 0.0F;
#pragma GCC unroll 4
        for (int tz = 0; tz < kTaps; ++tz) {
#pragma GCC unroll 4
          for (int ty = 0; ty < kTaps; ++ty) {
            const std::int32_t line = taps.z.offset[tz][i] + taps.y.offset[ty][i];
            float along = 0.0F;
#pragma GCC unroll 4
            for (int tx = 0; tx < kTaps; ++tx)
              along += taps.x.weight[tx][i] * v[line + taps.x.offset[tx][i]];
            sum += taps.z.weight[tz][i] * taps.y.weight[ty][i] * along;
          }
        }
        sums[i] = sum;
      }
      for (int i = 0; i < count; ++i) out[i] = sums[i];
    }
  }
}

TRIPTYCH_ALWAYS_INLINE void sample_row_body(const WarpTask& task,
                                            const TargetRow& row,
                                            const float* image,
                                            float* result) {
  task.cubic ? sample_taps<4>(task, row, image, result) : sample_taps<2>(task, row, image, result);
}
TRIPTYCH_VECTOR_KERNEL(
    sample_row,
    (const WarpTask& task, const TargetRow& row, const float* image, float* result),
    (task, row, image, result))

#ifdef TRIPTYCH_WARP_PAIRS

/// The two voxels of a row that linear interpolation mixes, as neighbours in memory.
struct PairTaps {
  alignas(64) std::int32_t offset[kLanes];  ///< of the first one, at most that of the last but one
  alignas(64) float low[kLanes], high[kLanes];
};

TRIPTYCH_ALWAYS_INLINE void find_pairs(const AxisTaps<2>& taps,
                                       std::int64_t size,
                                       PairTaps& pairs) {
  const auto last = static_cast<std::int32_t>(size - 2);
  for (int i = 0; i < kLanes; ++i) {
    const std::int32_t first = taps.offset[0][i], second = taps.offset[1][i];
    const std::int32_t offset = first < last ? first : last;
    pairs.offset[i] = offset;
    pairs.low[i] = (first == offset ? taps.weight[0][i] : 0.0F) +
                   (second == offset ? taps.weight[1][i] : 0.0F);
    pairs.high[i] = (first == offset ? 0.0F : taps.weight[0][i]) +
                    (second == offset ? 0.0F : taps.weight[1][i]);
  }
}

/// sample_taps<2> for images of at least two voxels along W: half as many gathers, each of a pair.
__attribute__((target("avx512f,avx512dq,avx512vl,avx2,fma,prefer-vector-width=512"))) void
sample_row_pairs(const WarpTask& task, const TargetRow& row, const float* image, float* result) {
  constexpr int kVector = 16;
  const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  const __m512i odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
  Positions positions;
  Taps<2> taps;
  PairTaps pairs;
  alignas(64) float sums[kLanes];
  const std::int64_t width = task.target[2];
  const std::int64_t image_voxels = volume(task.image), voxels = volume(task.target);
  for (std::int64_t first = 0; first < width; first += kLanes) {
    const int count = static_cast<int>(width - first < kLanes ? width - first : kLanes);
    find_positions(task, row, first, count, positions);
    find_taps<2>(task, positions, taps);
    find_pairs(taps.x, task.image[2], pairs);
    for (std::int64_t c = 0; c < task.channels; ++c) {
      const float* v = image + (row.item * task.channels + c) * image_voxels;
      float* out = result + (row.item * task.channels + c) * voxels + row.first_voxel + first;
      for (int i = 0; i < kLanes; i += kVector) {
        const __m512 low = _mm512_load_ps(pairs.low + i), high = _mm512_load_ps(pairs.high + i);
        __m512 sum = _mm512_setzero_ps();
        for (int tz = 0; tz < 2; ++tz) {
          for (int ty = 0; ty < 2; ++ty) {
            const __m512i line = _mm512_add_epi32(_mm512_load_si512(taps.z.offset[tz] + i),
                                                  _mm512_load_si512(taps.y.offset[ty] + i));
            const __m512i where = _mm512_add_epi32(line, _mm512_load_si512(pairs.offset + i));
            const __m512 a = _mm512_castpd_ps(_mm512_mask_i32gather_pd(
                _mm512_setzero_pd(), 0xFF, _mm512_castsi512_si256(where), v, 4));
            const __m512 b = _mm512_castpd_ps(_mm512_mask_i32gather_pd(
                _mm512_setzero_pd(), 0xFF, _mm512_extracti64x4_epi64(where, 1), v, 4));
            const __m512 along =
                _mm512_fmadd_ps(high,
                                _mm512_permutex2var_ps(a, odd, b),
                                _mm512_mul_ps(low, _mm512_permutex2var_ps(a, even, b)));
            const __m512 weight = _mm512_mul_ps(_mm512_load_ps(taps.z.weight[tz] + i),
                                                _mm512_load_ps(taps.y.weight[ty] + i));
            sum = _mm512_fmadd_ps(weight, along, sum);
          }
        }
        _mm512_store_ps(sums + i, sum);
      }
      for (int i = 0; i < count; ++i) out[i] = sums[i];
    }
  }
}

bool samples_pairs(const WarpTask& task) {
  return !task.cubic && task.image[2] > 1 && vector_level() == VectorLevel::kAvx512;
}

#else

void sample_row_pairs(const WarpTask&, const TargetRow&, const float*, float*) {}
bool samples_pairs(const WarpTask&) { return false; }

#endif

/// Sums gradient * d value / d position of one channel over a block of lanes.
template <int kTaps>
TRIPTYCH_ALWAYS_INLINE void add_position_gradient(const Taps<kTaps>& taps,
                                                  const float* v,
                                                  const float* gradient,
                                                  Positions& sums) {
  for (int i = 0; i < kLanes; ++i) {
    float x = 0.0F, y = 0.0F, z = 0.0F;
#pragma GCC unroll 4
    for (int tz = 0; tz < kTaps; ++tz) {
#pragma GCC unroll 4
      for (int ty = 0; ty < kTaps; ++ty) {
        const std::int32_t line = taps.z.offset[tz][i] + taps.y.offset[ty][i];
        float value = 0.0F, slope = 0.0F;
#pragma GCC unroll 4
        for (int tx = 0; tx < kTaps; ++tx) {
          const float voxel = v[line + taps.x.offset[tx][i]];
          value += taps.x.weight[tx][i] * voxel;
          slope += taps.x.slope[tx][i] * voxel;
        }
        x += taps.z.weight[tz][i] * taps.y.weight[ty][i] * slope;
        y += taps.z.weight[tz][i] * taps.y.slope[ty][i] * value;
        z += taps.z.slope[tz][i] * taps.y.weight[ty][i] * value;
      }
    }
    sums.x[i] += gradient[i] * x;
    sums.y[i] += gradient[i] * y;
    sums.z[i] += gradient[i] * z;
  }
}

/// field_gradient of a block: the transposed step matrix times the gradient by the position.
TRIPTYCH_ALWAYS_INLINE void store_field_gradient(const WarpTask& task,
                                                 const Positions& sums,
                                                 int count,
                                                 float* out) {
  const std::int64_t voxels = volume(task.target);
  for (int c = 0; c < 3; ++c) {
    const auto x = static_cast<float>(task.map.step[c]);
    const auto y = static_cast<float>(task.map.step[3 + c]);
    const auto z = static_cast<float>(task.map.step[6 + c]);
    for (int i = 0; i < count; ++i)
      out[c * voxels + i] = x * sums.x[i] + y * sums.y[i] + z * sums.z[i];
  }
}

template <int kTaps>
TRIPTYCH_ALWAYS_INLINE void differentiate_taps(const WarpTask& task,
                                               const TargetRow& row,
                                               const float* image,
                                               const float* gradient,
                                               float* field_gradient) {
  Positions positions;
  Taps<kTaps> taps;
  const std::int64_t width = task.target[2];
  const std::int64_t image_voxels = volume(task.image), voxels = volume(task.target);
  for (std::int64_t first = 0; first < width; first += kLanes) {
    const int count = static_cast<int>(width - first < kLanes ? width - first : kLanes);
    find_positions(task, row, first, count, positions);
    find_taps<kTaps>(task, positions, taps);
    Positions sums = {};
    for (std::int64_t c = 0; c < task.channels; ++c) {
      const std::int64_t plane = row.item * task.channels + c;
      alignas(64) float block[kLanes] = {};
      const float* from = gradient + plane * voxels + row.first_voxel + first;
      for (int i = 0; i < count; ++i) block[i] = from[i];
      add_position_gradient<kTaps>(taps, image + plane * image_voxels, block, sums);
    }
    store_field_gradient(
        task, sums, count, field_gradient + row.item * 3 * voxels + row.first_voxel + first);
  }
}

TRIPTYCH_ALWAYS_INLINE void differentiate_row_body(const WarpTask& task,
                                                   const TargetRow& row,
                                                   const float* image,
                                                   const float* gradient,
                                                   float* field_gradient) {
  task.cubic ? differentiate_taps<4>(task, row, image, gradient, field_gradient)
             : differentiate_taps<2>(task, row, image, gradient, field_gradient);
}
TRIPTYCH_VECTOR_KERNEL(differentiate_row,
                       (const WarpTask& task,
                        const TargetRow& row,
                        const float* image,
                        const float* gradient,
                        float* field_gradient),
                       (task, row, image, gradient, field_gradient))

}  // namespace

void warp_forward(const WarpTask& task, const float* image, const float* field, float* result) {
  const auto sample = samples_pairs(task) ? sample_row_pairs : sample_row;
  for_each_row(
      task, field, [&](std::int64_t, const TargetRow& row) { sample(task, row, image, result); });
}

void warp_field_gradient(const WarpTask& task,
                         const float* image,
                         const float* field,
                         const float* gradient,
                         float* field_gradient) {
  for_each_row(task, field, [&](std::int64_t, const TargetRow& row) {
    differentiate_row(task, row, image, gradient, field_gradient);
  });
}

void warp_nearest(const WarpTask& task, const float* field, std::int64_t* offsets) {
  const auto voxel = [](float position, std::int64_t size) -> std::int64_t {
    const float rounded = std::floor(position + 0.5F);
    const bool inside = rounded >= 0.0F && rounded < static_cast<float>(size);
    if (size == 1) return 0;
    return inside ? static_cast<std::int64_t>(rounded) : -1;
  };
  const Index3& shape = task.image;
  for_each_row(task, field, [&](std::int64_t index, const TargetRow& row) {
    Positions positions;
    const std::int64_t width = task.target[2];
    std::int64_t* out = offsets + index * width;
    for (std::int64_t first = 0; first < width; first += kLanes) {
      const int count = static_cast<int>(std::min<std::int64_t>(kLanes, width - first));
      find_positions(task, row, first, count, positions);
      for (int i = 0; i < count; ++i) {
        const std::int64_t x = voxel(positions.x[i], shape[2]);
        const std::int64_t y = voxel(positions.y[i], shape[1]);
        const std::int64_t z = voxel(positions.z[i], shape[0]);
        const bool inside = x >= 0 && y >= 0 && z >= 0;
        out[first + i] = inside ? (z * shape[1] + y) * shape[2] + x : -1;
      }
    }
  });
}

}  // namespace triptych
