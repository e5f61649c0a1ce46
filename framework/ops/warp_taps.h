// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/core/parallel.h"
#include "framework/ops/cpu_dispatch.h"
#include "framework/ops/warp_kernel.h"

#include <cstdint>

// What the kernels of warp share: positions of a block of voxels and the voxels about them.

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC push_options
#pragma GCC optimize("O3", "no-trapping-math", "no-math-errno")
#endif

namespace triptych::warp_detail {

constexpr int kLanes = 32;  ///< voxels of a row that are sampled together

/// Voxels and weights along one axis.
template <int kTaps>
struct AxisTaps {
  alignas(64) std::int32_t offset[kTaps][kLanes];  ///< from the image's first voxel, in floats
  alignas(64) float weight[kTaps][kLanes];         ///< 0 where the voxel is outside and zero
  alignas(64) float slope[kTaps][kLanes];          ///< derivative of the weight by the position
};

template <int kTaps>
struct Taps {
  AxisTaps<kTaps> x, y, z;
};

struct Positions {
  alignas(64) float x[kLanes], y[kLanes], z[kLanes];
};

/// A row of the target: where its voxels are sampled without displacement, and its displacement.
struct TargetRow {
  double start[3], step[3];
  const float* field;
  std::int64_t item, first_voxel;  ///< of the target
};

TRIPTYCH_ALWAYS_INLINE std::int64_t volume(const Index3& shape) {
  return shape[0] * shape[1] * shape[2];
}

inline TargetRow row_of(const WarpTask& task, const float* field, std::int64_t row) {
  TargetRow result;
  const std::int64_t rows = task.target[0] * task.target[1];
  result.item = row / rows;
  result.first_voxel = row % rows * task.target[2];
  const auto z = static_cast<double>(row % rows / task.target[1]);
  const auto y = static_cast<double>(row % task.target[1]);
  for (int axis = 0; axis < 3; ++axis) {
    const double* matrix = task.map.index + 3 * axis;
    result.start[axis] = matrix[1] * y + matrix[2] * z + task.map.offset[axis];
    result.step[axis] = matrix[0];
  }
  result.field = field == nullptr
                     ? nullptr
                     : field + result.item * 3 * volume(task.target) + result.first_voxel;
  return result;
}

TRIPTYCH_ALWAYS_INLINE void find_positions(
    const WarpTask& task, const TargetRow& row, std::int64_t first, int count, Positions& out) {
  alignas(64) float u[3][kLanes] = {};
  if (row.field != nullptr) {
    const std::int64_t stride = volume(task.target);
    for (int c = 0; c < 3; ++c) {
      for (int i = 0; i < count; ++i) u[c][i] = row.field[c * stride + first + i];
    }
  }
  float* positions[3] = {out.x, out.y, out.z};
  for (int axis = 0; axis < 3; ++axis) {
    const auto start =
        static_cast<float>(row.start[axis] + row.step[axis] * static_cast<double>(first));
    const auto step = static_cast<float>(row.step[axis]);
    const auto a = static_cast<float>(task.map.step[3 * axis]);
    const auto b = static_cast<float>(task.map.step[3 * axis + 1]);
    const auto c = static_cast<float>(task.map.step[3 * axis + 2]);
    float* position = positions[axis];
    for (int i = 0; i < kLanes; ++i) {
      position[i] =
          (start + step * static_cast<float>(i)) + (a * u[0][i] + b * u[1][i] + c * u[2][i]);
    }
  }
}

/// Weights of the taps at a fraction in [0, 1) behind the tap kTaps / 2 - 1, and their derivatives.
template <int kTaps>
TRIPTYCH_ALWAYS_INLINE void tap_weights(float f, float (&w)[kTaps], float (&s)[kTaps]) {
  if constexpr (kTaps == 2) {
    w[0] = 1.0F - f;
    w[1] = f;
    s[0] = -1.0F;
    s[1] = 1.0F;
  } else {  // Keys, Cubic convolution interpolation for digital image processing, 1981; a = -1/2
    w[0] = ((-0.5F * f + 1.0F) * f - 0.5F) * f;
    w[1] = (1.5F * f - 2.5F) * f * f + 1.0F;
    w[2] = ((-1.5F * f + 2.0F) * f + 0.5F) * f;
    w[3] = (0.5F * f - 0.5F) * f * f;
    s[0] = (-1.5F * f + 2.0F) * f - 0.5F;
    s[1] = (4.5F * f - 5.0F) * f;
    s[2] = (-4.5F * f + 4.0F) * f + 0.5F;
    s[3] = (1.5F * f - 1.0F) * f;
  }
}

/// Bounds first: a position far outside, or one that is no number, reads no memory outside.
template <int kTaps>
TRIPTYCH_ALWAYS_INLINE void find_axis_taps(const float* position,
                                           std::int64_t size,
                                           std::int64_t stride,
                                           bool edge,
                                           AxisTaps<kTaps>& taps) {
  const auto last = static_cast<std::int32_t>(size - 1);
  const auto step = static_cast<std::int32_t>(stride);
  const float low = -4.0F, high = static_cast<float>(size + 3);
  // An axis of one voxel has no inside to leave: the image is constant along it.
  const float outside = edge || size == 1 ? 1.0F : 0.0F;
  const float varies = size == 1 ? 0.0F : 1.0F;
  for (int i = 0; i < kLanes; ++i) {
    float p = position[i];
    p = p > low ? p : low;
    p = p < high ? p : high;
    std::int32_t cell = static_cast<std::int32_t>(p);
    cell -= p < static_cast<float>(cell) ? 1 : 0;
    float weight[kTaps], slope[kTaps];
    tap_weights<kTaps>(p - static_cast<float>(cell), weight, slope);
    for (int t = 0; t < kTaps; ++t) {
      const std::int32_t voxel = cell + t - (kTaps / 2 - 1);
      std::int32_t inside = voxel > 0 ? voxel : 0;
      inside = inside < last ? inside : last;
      const float mask = inside == voxel ? 1.0F : outside;
      taps.offset[t][i] = inside * step;
      taps.weight[t][i] = mask * weight[t];
      taps.slope[t][i] = varies * mask * slope[t];
    }
  }
}

template <int kTaps>
TRIPTYCH_ALWAYS_INLINE void find_taps(const WarpTask& task,
                                      const Positions& positions,
                                      Taps<kTaps>& taps) {
  find_axis_taps<kTaps>(positions.x, task.image[2], 1, task.edge, taps.x);
  find_axis_taps<kTaps>(positions.y, task.image[1], task.image[2], task.edge, taps.y);
  find_axis_taps<kTaps>(
      positions.z, task.image[0], task.image[1] * task.image[2], task.edge, taps.z);
}

/// Calls `body(index, row)` on every row of the targets of all items.
template <class Body>
void for_each_row(const WarpTask& task, const float* field, Body body) {
  constexpr std::int64_t kRowsAtOnce = 32;
  const std::int64_t rows = task.items * task.target[0] * task.target[1];
  parallel_for(rows, kRowsAtOnce, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) body(row, row_of(task, field, row));
  });
}

}  // namespace triptych::warp_detail

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC pop_options
#endif
