// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/box_filter.h"

#include "framework/core/error.h"
#include "framework/core/parallel.h"
#include "framework/core/shape.h"
#include "framework/ops/cpu_dispatch.h"

#include <algorithm>
#include <vector>

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

// The loops over a row must be vectorised at every optimisation level of the build.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3", "no-trapping-math", "no-math-errno")
#endif

namespace triptych {
namespace {

template <int kCount>
TRIPTYCH_ALWAYS_INLINE void sum_some(const float* const* rows,
                                     std::int64_t n,
                                     float factor,
                                     float* out) {
  const float* from[kCount];
  for (int k = 0; k < kCount; ++k) from[k] = rows[k];
  for (std::int64_t i = 0; i < n; ++i) {
    float sum = from[0][i];
#pragma GCC unroll 16
    for (int k = 1; k < kCount; ++k) sum += from[k][i];
    out[i] = factor * sum;
  }
}

/// out[i] = factor * sum over k of rows[k][i].
TRIPTYCH_ALWAYS_INLINE void sum_of_rows_body(
    const float* const* rows, int count, std::int64_t n, float factor, float* __restrict out) {
  switch (count) {
    case 1:
      return sum_some<1>(rows, n, factor, out);
    case 3:
      return sum_some<3>(rows, n, factor, out);
    case 5:
      return sum_some<5>(rows, n, factor, out);
    case 7:
      return sum_some<7>(rows, n, factor, out);
    case 9:
      return sum_some<9>(rows, n, factor, out);
    default:
      for (std::int64_t i = 0; i < n; ++i) out[i] = rows[0][i];
      for (int k = 1; k < count; ++k) {
        const float* row = rows[k];
        for (std::int64_t i = 0; i < n; ++i) out[i] += row[i];
      }
      for (std::int64_t i = 0; i < n; ++i) out[i] *= factor;
  }
}
TRIPTYCH_VECTOR_KERNEL(
    sum_of_rows,
    (const float* const* rows, int count, std::int64_t n, float factor, float* __restrict out),
    (rows, count, n, factor, out))

/// The rows position - radius .. position + radius of an array of rows of `stride` floats.
void collect_rows(const float* first,
                  std::int64_t stride,
                  std::int64_t size,
                  std::int64_t position,
                  std::int64_t radius,
                  const float* zeros,
                  std::vector<const float*>& rows) {
  rows.clear();
  for (std::int64_t k = position - radius; k <= position + radius; ++k) {
    const bool inside = k >= 0 && k < size;
    rows.push_back(zeros != nullptr && !inside
                       ? zeros
                       : first + std::clamp<std::int64_t>(k, 0, size - 1) * stride);
  }
}

void pad_row(float* row, std::int64_t width, std::int64_t radius, bool edge) {
  std::fill_n(row - radius, radius, edge ? row[0] : 0.0F);
  std::fill_n(row + width, radius, edge ? row[width - 1] : 0.0F);
}

struct BoxSumFunction : torch::autograd::Function<BoxSumFunction> {
  static at::Tensor forward(torch::autograd::AutogradContext* context,
                            const at::Tensor& x,
                            const std::vector<std::int64_t>& radius) {
    context->saved_data["radius"] = radius;
    const at::Tensor values = x.contiguous();
    at::Tensor result = at::empty_like(values);
    const BoxTask task{{x.size(2), x.size(3), x.size(4)}, {radius[0], radius[1], radius[2]}};
    const std::int64_t voxels = task.shape[0] * task.shape[1] * task.shape[2];
    const at::Tensor planes = at::empty({voxels}, values.options());
    for (std::int64_t volume = 0; volume < x.size(0) * x.size(1); ++volume) {
      const float* from = values.data_ptr<float>() + volume * voxels;
      const auto copy_row = [&](std::int64_t z, std::int64_t y, float* row) {
        std::copy_n(from + (z * task.shape[1] + y) * task.shape[2], task.shape[2], row);
      };
      box_sum_rows(
          task, copy_row, planes.data_ptr<float>(), result.data_ptr<float>() + volume * voxels);
    }
    return result;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    const std::vector<std::int64_t> radius = context->saved_data["radius"].toIntVector();
    return {BoxSumFunction::apply(gradients[0], radius), at::Tensor()};
  }
};

}  // namespace

void box_sum_rows(const BoxTask& task,
                  const std::function<void(std::int64_t, std::int64_t, float*)>& make_row,
                  float* planes,
                  float* result) {
  constexpr std::int64_t kPlanesAtOnce = 2, kLinesAtOnce = 32;
  const auto [depth, height, width] = task.shape;
  const auto [along_z, along_y, along_x] = task.radius;
  const std::vector<float> zeros(static_cast<std::size_t>(width), 0.0F);
  const float* outside = task.edge ? nullptr : zeros.data();
  parallel_for(depth, kPlanesAtOnce, [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> padded(static_cast<std::size_t>(width + 2 * along_x));
    std::vector<float> plane(static_cast<std::size_t>(height * width));
    std::vector<const float*> rows;
    float* row = padded.data() + along_x;
    for (std::int64_t z = begin; z < end; ++z) {
      for (std::int64_t y = 0; y < height; ++y) {
        make_row(z, y, row);
        pad_row(row, width, along_x, task.edge);
        rows.clear();
        for (std::int64_t k = -along_x; k <= along_x; ++k) rows.push_back(row + k);
        sum_of_rows(
            rows.data(), static_cast<int>(rows.size()), width, 1.0F, plane.data() + y * width);
      }
      for (std::int64_t y = 0; y < height; ++y) {
        collect_rows(plane.data(), width, height, y, along_y, outside, rows);
        sum_of_rows(rows.data(),
                    static_cast<int>(rows.size()),
                    width,
                    1.0F,
                    planes + (z * height + y) * width);
      }
    }
  });
  parallel_for(depth * height, kLinesAtOnce, [&](std::int64_t begin, std::int64_t end) {
    std::vector<const float*> rows;
    for (std::int64_t line = begin; line < end; ++line) {
      const float* first = planes + line % height * width;
      collect_rows(first, height * width, depth, line / height, along_z, outside, rows);
      sum_of_rows(
          rows.data(), static_cast<int>(rows.size()), width, task.factor, result + line * width);
    }
  });
}

Index3 window_radius(const at::Tensor& x, std::int64_t radius) {
  return {x.size(2) > 1 ? radius : 0, x.size(3) > 1 ? radius : 0, x.size(4) > 1 ? radius : 0};
}

at::Tensor box_sum(const at::Tensor& x, const Index3& radius) {
  check_shape(x, {kAny, kAny, kAny, kAny, kAny}, "box sum");
  for (const std::int64_t r : radius) TRIPTYCH_ASSERT(r >= 0);
  if (x.numel() == 0) return x;
  if (x.is_cpu() && x.scalar_type() == at::kFloat)
    return BoxSumFunction::apply(x, std::vector<std::int64_t>(radius.begin(), radius.end()));
  at::Tensor sum = x;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    if (radius[axis] == 0) continue;
    std::vector<std::int64_t> window(3, 1), padding(3, 0), padded(6, 0);
    window[axis] = 2 * radius[axis] + 1;
    padded[4 - 2 * axis] = padded[5 - 2 * axis] = radius[axis];
    sum = at::avg_pool3d(at::constant_pad_nd(sum, padded), window, 1, padding, false, true, 1);
  }
  return sum;
}

}  // namespace triptych
