// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/field_filter.h"

#include "framework/core/error.h"
#include "framework/core/parallel.h"
#include "framework/ops/cpu_dispatch.h"

#include <algorithm>
#include <cmath>

#include <ATen/ATen.h>

// The loops over a row must be vectorised at every optimisation level of the build.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3", "no-trapping-math", "no-math-errno")
#endif

namespace triptych {
namespace {

constexpr std::int64_t kLinesAtOnce = 16, kPlanesAtOnce = 1, kValuesAtOnce = 1 << 14;
constexpr int kMostTaps = 7;

/// Rows that are added up with weights, and a factor per value before or after (null: 1).
struct WeightedRows {
  const float* rows[kMostTaps];
  float weights[kMostTaps];
  int count;
  const float* scale;
};

template <int kCount>
TRIPTYCH_ALWAYS_INLINE void add_rows(const WeightedRows& from, std::int64_t n, float* out) {
  const float* rows[kCount];
  float weights[kCount];
  for (int k = 0; k < kCount; ++k) {
    rows[k] = from.rows[k];
    weights[k] = from.weights[k];
  }
  for (std::int64_t i = 0; i < n; ++i) {
    float sum = weights[0] * rows[0][i];
#pragma GCC unroll 8
    for (int k = 1; k < kCount; ++k) sum += weights[k] * rows[k][i];
    out[i] = sum;
  }
}

TRIPTYCH_ALWAYS_INLINE void sum_rows_body(const WeightedRows& from,
                                          std::int64_t n,
                                          float* __restrict out) {
  switch (from.count) {
    case 1:
      add_rows<1>(from, n, out);
      break;
    case 3:
      add_rows<3>(from, n, out);
      break;
    case 5:
      add_rows<5>(from, n, out);
      break;
    default:
      add_rows<7>(from, n, out);
  }
  if (from.scale == nullptr) return;
  for (std::int64_t i = 0; i < n; ++i) out[i] *= from.scale[i];
}
TRIPTYCH_VECTOR_KERNEL(sum_rows,
                       (const WeightedRows& from, std::int64_t n, float* __restrict out),
                       (from, n, out))

/// (1, 1, 1) / 3 convolved with itself.
std::vector<float> averaging_weights(int repetitions) {
  std::vector<double> weights{1.0};
  for (int k = 0; k < repetitions; ++k) {
    std::vector<double> next(weights.size() + 2, 0.0);
    for (std::size_t i = 0; i < weights.size(); ++i) {
      for (std::size_t t = 0; t < 3; ++t) next[i + t] += weights[i] / 3.0;
    }
    weights = next;
  }
  return {weights.begin(), weights.end()};
}

/// The lines about `position` of an axis and their weights; beyond the axis lines have none.
void collect_lines(const float* first,
                   std::int64_t stride,
                   std::int64_t position,
                   const std::vector<float>& scale,
                   const std::vector<float>& weights,
                   std::int64_t radius,
                   bool adjoint,
                   WeightedRows& out) {
  const auto size = static_cast<std::int64_t>(scale.size());
  const std::size_t middle = weights.size() / 2;
  out.count = static_cast<int>(2 * radius + 1);
  out.scale = nullptr;
  for (std::int64_t k = -radius; k <= radius; ++k) {
    const std::int64_t line = std::clamp<std::int64_t>(position + k, 0, size - 1);
    const bool inside = line == position + k;
    const auto tap = static_cast<std::size_t>(k + radius);
    const float weight =
        radius == 0 ? 1.0F
                    : weights[static_cast<std::size_t>(static_cast<std::int64_t>(middle) + k)];
    out.rows[tap] = first + line * stride;
    out.weights[tap] =
        inside ? weight * scale[static_cast<std::size_t>(adjoint ? line : position)] : 0.0F;
  }
}

/// A row of the diffusion term: its lines before and after along the three axes, null at the faces.
struct DiffusionRow {
  const float* values;
  const float *before[2], *after[2];  ///< along H and D
  float factor[3];                    ///< along W, H, D
  std::int64_t width;
};

TRIPTYCH_ALWAYS_INLINE void add_diffusion_row_body(const DiffusionRow& row,
                                                   float* __restrict gradient) {
  const float* u = row.values;
  for (std::int64_t i = 1; i < row.width; ++i) gradient[i] += row.factor[0] * (u[i] - u[i - 1]);
  for (std::int64_t i = 0; i + 1 < row.width; ++i) gradient[i] += row.factor[0] * (u[i] - u[i + 1]);
  for (int axis = 0; axis < 2; ++axis) {
    const float factor = row.factor[axis + 1];
    for (const float* other : {row.before[axis], row.after[axis]}) {
      if (other == nullptr) continue;
      for (std::int64_t i = 0; i < row.width; ++i) gradient[i] += factor * (u[i] - other[i]);
    }
  }
}
TRIPTYCH_VECTOR_KERNEL(add_diffusion_row,
                       (const DiffusionRow& row, float* __restrict gradient),
                       (row, gradient))

struct AdamRates {
  float mean, square;       ///< shares of the new values
  float rate, root_factor;  ///< both corrected for the start
  float epsilon;
};

TRIPTYCH_ALWAYS_INLINE void adam_update_body(const AdamRates& rates,
                                             const float* gradient,
                                             std::int64_t n,
                                             float* __restrict mean,
                                             float* __restrict square,
                                             float* __restrict values) {
  for (std::int64_t i = 0; i < n; ++i) {
    const float g = gradient[i];
    mean[i] += rates.mean * (g - mean[i]);
    square[i] += rates.square * (g * g - square[i]);
    values[i] -=
        rates.rate * mean[i] / (rates.root_factor * __builtin_sqrtf(square[i]) + rates.epsilon);
  }
}
TRIPTYCH_VECTOR_KERNEL(adam_update,
                       (const AdamRates& rates,
                        const float* gradient,
                        std::int64_t n,
                        float* __restrict mean,
                        float* __restrict square,
                        float* __restrict values),
                       (rates, gradient, n, mean, square, values))

}  // namespace

FieldFilter::FieldFilter(const Index3& shape, int repetitions)
    : weights_(averaging_weights(repetitions)) {
  TRIPTYCH_ASSERT(0 <= repetitions && 2 * repetitions + 1 <= kMostTaps);
  for (std::size_t axis = 0; axis < 3; ++axis) {
    Axis& a = axes_[axis];
    a.size = shape[axis];
    a.radius = shape[axis] > 1 ? repetitions : 0;
    for (std::int64_t i = 0; i < a.size; ++i) {
      double inside = 0.0;
      for (std::int64_t k = -a.radius; k <= a.radius; ++k) {
        if (i + k >= 0 && i + k < a.size)
          inside += weights_[static_cast<std::size_t>(k + repetitions)];
      }
      a.scale.push_back(a.radius == 0 ? 1.0F : static_cast<float>(1.0 / inside));
    }
  }
}

void FieldFilter::filter(float* field, bool adjoint) {
  const std::int64_t depth = axes_[0].size, height = axes_[1].size, width = axes_[2].size;
  const std::int64_t radius = axes_[2].radius, plane_size = height * width;
  planes_.resize(static_cast<std::size_t>(depth * plane_size));
  const auto filter_plane = [&](const float* from, float* to) {
    std::vector<float> padded(static_cast<std::size_t>(width + 2 * radius), 0.0F);
    std::vector<float> plane(static_cast<std::size_t>(plane_size));
    WeightedRows rows{};
    rows.count = static_cast<int>(2 * radius + 1);
    for (int k = 0; k < rows.count; ++k) {
      rows.rows[k] = padded.data() + k;
      rows.weights[k] = radius == 0 ? 1.0F : weights_[static_cast<std::size_t>(k)];
    }
    rows.scale = adjoint ? nullptr : axes_[2].scale.data();
    const WeightedRows scaled{{nullptr}, {1.0F}, 1, axes_[2].scale.data()};
    for (std::int64_t y = 0; y < height; ++y) {
      WeightedRows copy = scaled;
      copy.rows[0] = from + y * width;
      if (!adjoint) copy.scale = nullptr;
      sum_rows(copy, width, padded.data() + radius);
      sum_rows(rows, width, plane.data() + y * width);
    }
    for (std::int64_t y = 0; y < height; ++y) {
      collect_lines(
          plane.data(), width, y, axes_[1].scale, weights_, axes_[1].radius, adjoint, rows);
      sum_rows(rows, width, to + y * width);
    }
  };
  for (int c = 0; c < 3; ++c) {
    float* component = field + c * depth * plane_size;
    parallel_for(depth, kPlanesAtOnce, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t z = begin; z < end; ++z)
        filter_plane(component + z * plane_size, planes_.data() + z * plane_size);
    });
    parallel_for(depth * height, kLinesAtOnce, [&](std::int64_t begin, std::int64_t end) {
      WeightedRows rows{};
      for (std::int64_t line = begin; line < end; ++line) {
        collect_lines(planes_.data() + line % height * width,
                      plane_size,
                      line / height,
                      axes_[0].scale,
                      weights_,
                      axes_[0].radius,
                      adjoint,
                      rows);
        sum_rows(rows, width, component + line * width);
      }
    });
  }
}

at::Tensor FieldFilter::by_tensors(const at::Tensor& field, bool adjoint) const {
  at::Tensor result = field;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const Axis& a = axes_[axis];
    if (a.radius == 0) continue;
    std::vector<std::int64_t> along(3, 1), padding(3, 0), kernel(5, 1);
    along[axis] = a.size;
    padding[axis] = a.radius;
    kernel[axis + 2] = 2 * a.radius + 1;
    const at::Tensor scale = at::tensor(a.scale).to(field).view(along);
    const at::Tensor weights =
        at::tensor(weights_).to(field).view(kernel).repeat({field.size(1), 1, 1, 1, 1});
    const at::Tensor in = adjoint ? result * scale : result;
    result = at::conv3d(in, weights, {}, 1, padding, 1, field.size(1));
    if (!adjoint) result = result * scale;
  }
  return result;
}

at::Tensor FieldFilter::smooth(const at::Tensor& field) const { return by_tensors(field, false); }

at::Tensor FieldFilter::adjoint(const at::Tensor& gradient) const {
  return by_tensors(gradient, true);
}

void add_diffusion_gradient(const Index3& shape,
                            const double (&factor)[3][3],
                            const float* displacement,
                            float* gradient) {
  const auto [depth, height, width] = shape;
  const std::int64_t lines = depth * height, plane = height * width;
  const std::int64_t rows = height, columns = width, planes = depth;
  parallel_for(3 * lines, kLinesAtOnce, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t line = begin; line < end; ++line) {
      const std::int64_t c = line / lines, y = line % rows, z = line % lines / rows;
      const float* u = displacement + line * columns;
      DiffusionRow row{};
      row.values = u;
      row.width = columns;
      row.before[0] = y > 0 ? u - columns : nullptr;
      row.after[0] = y + 1 < rows ? u + columns : nullptr;
      row.before[1] = z > 0 ? u - plane : nullptr;
      row.after[1] = z + 1 < planes ? u + plane : nullptr;
      for (int axis = 0; axis < 3; ++axis)
        row.factor[axis] = static_cast<float>(2.0 / 3.0 * factor[c][axis]);
      add_diffusion_row(row, gradient + line * columns);
    }
  });
}

AdamState::AdamState(std::int64_t size)
    : mean(static_cast<std::size_t>(size), 0.0F), square(static_cast<std::size_t>(size), 0.0F) {}

void AdamState::step(const float* gradient, double rate, double epsilon, float* values) {
  constexpr double kMeanDecay = 0.9, kSquareDecay = 0.999;
  ++steps;
  const double corrected_mean = 1.0 - std::pow(kMeanDecay, static_cast<double>(steps));
  const double corrected_square = 1.0 - std::pow(kSquareDecay, static_cast<double>(steps));
  const AdamRates rates{static_cast<float>(1.0 - kMeanDecay),
                        static_cast<float>(1.0 - kSquareDecay),
                        static_cast<float>(rate / corrected_mean),
                        static_cast<float>(1.0 / std::sqrt(corrected_square)),
                        static_cast<float>(epsilon)};
  parallel_for(static_cast<std::int64_t>(mean.size()),
               kValuesAtOnce,
               [&](std::int64_t begin, std::int64_t end) {
                 adam_update(rates,
                             gradient + begin,
                             end - begin,
                             mean.data() + begin,
                             square.data() + begin,
                             values + begin);
               });
}

}  // namespace triptych
