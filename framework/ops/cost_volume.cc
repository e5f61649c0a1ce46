// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/cost_volume.h"

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

constexpr std::int64_t kLinesAtOnce = 4;

TRIPTYCH_ALWAYS_INLINE void add_squared_differences_body(const float* a,
                                                         const float* b,
                                                         std::int64_t n,
                                                         float* __restrict out) {
  for (std::int64_t i = 0; i < n; ++i) {
    const float difference = a[i] - b[i];
    out[i] += difference * difference;
  }
}
TRIPTYCH_VECTOR_KERNEL(add_squared_differences,
                       (const float* a, const float* b, std::int64_t n, float* __restrict out),
                       (a, b, n, out))

/// out += 2 weight (a - b).
TRIPTYCH_ALWAYS_INLINE void add_weighted_differences_body(
    const float* weight, const float* a, const float* b, std::int64_t n, float* __restrict out) {
  for (std::int64_t i = 0; i < n; ++i) out[i] += 2.0F * weight[i] * (a[i] - b[i]);
}
TRIPTYCH_VECTOR_KERNEL(
    add_weighted_differences,
    (const float* weight, const float* a, const float* b, std::int64_t n, float* __restrict out),
    (weight, a, b, n, out))

std::int64_t displacement_count(const Index3& half_width) {
  return (2 * half_width[0] + 1) * (2 * half_width[1] + 1) * (2 * half_width[2] + 1);
}

/// Displacement k along D, H, W.
Index3 displacement(const Index3& half_width, std::int64_t k) {
  const std::int64_t nx = 2 * half_width[2] + 1, ny = 2 * half_width[1] + 1;
  return {k / (nx * ny) - half_width[0], k / nx % ny - half_width[1], k % nx - half_width[2]};
}

/// Zeros of `half_width` voxels about the last three axes.
at::Tensor with_margin(const at::Tensor& x, const Index3& half_width) {
  return at::constant_pad_nd(
      x,
      {half_width[2], half_width[2], half_width[1], half_width[1], half_width[0], half_width[0]});
}

/// Lines of one item: a fixed array [C, D, H, W] and a moving one with a margin of half_width.
struct ItemLines {
  ItemLines(const at::Tensor& fixed, const Index3& half_width)
      : channels(fixed.size(-4)),
        shape{fixed.size(-3), fixed.size(-2), fixed.size(-1)},
        half(half_width) {}

  std::int64_t voxels() const { return shape[0] * shape[1] * shape[2]; }
  std::int64_t wide_voxels() const {
    return (shape[0] + 2 * half[0]) * (shape[1] + 2 * half[1]) * (shape[2] + 2 * half[2]);
  }
  std::int64_t line(std::int64_t c, std::int64_t z, std::int64_t y) const {
    return ((c * shape[0] + z) * shape[1] + y) * shape[2];
  }
  /// Of the displaced voxel, in the array with a margin.
  std::int64_t wide_line(std::int64_t c, std::int64_t z, std::int64_t y, const Index3& d) const {
    const std::int64_t plane = z + d[0] + half[0], row = y + d[1] + half[1];
    return c * wide_voxels() + (plane * (shape[1] + 2 * half[1]) + row) * (shape[2] + 2 * half[2]) +
           d[2] + half[2];
  }

  std::int64_t channels;
  Index3 shape, half;
};

/// costs [K, end - first, H, W] of slices of one item; `wide` has a margin.
void fill_costs(const ItemLines& item,
                const float* fixed,
                const float* wide,
                std::int64_t first_slice,
                std::int64_t end_slice,
                float* costs) {
  const std::int64_t count = displacement_count(item.half);
  const std::int64_t lines = (end_slice - first_slice) * item.shape[1], width = item.shape[2];
  parallel_for(lines, kLinesAtOnce, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t line = begin; line < end; ++line) {
      const std::int64_t z = first_slice + line / item.shape[1], y = line % item.shape[1];
      for (std::int64_t k = 0; k < count; ++k) {
        const Index3 d = displacement(item.half, k);
        float* out = costs + (k * lines + line) * width;
        std::fill_n(out, width, 0.0F);
        for (std::int64_t c = 0; c < item.channels; ++c) {
          add_squared_differences(
              fixed + item.line(c, z, y), wide + item.wide_line(c, z, y, d), width, out);
        }
      }
    }
  });
}

/// fixed_gradient [C, D, H, W] of one item, zero before.
void add_fixed_gradient(const ItemLines& item,
                        const float* fixed,
                        const float* wide,
                        const float* gradient,
                        float* fixed_gradient) {
  const std::int64_t count = displacement_count(item.half), width = item.shape[2];
  parallel_for(item.shape[0] * item.shape[1], kLinesAtOnce, [&](std::int64_t b, std::int64_t e) {
    for (std::int64_t line = b; line < e; ++line) {
      const std::int64_t z = line / item.shape[1], y = line % item.shape[1];
      for (std::int64_t k = 0; k < count; ++k) {
        const Index3 d = displacement(item.half, k);
        for (std::int64_t c = 0; c < item.channels; ++c) {
          add_weighted_differences(gradient + item.line(k, z, y),
                                   fixed + item.line(c, z, y),
                                   wide + item.wide_line(c, z, y, d),
                                   width,
                                   fixed_gradient + item.line(c, z, y));
        }
      }
    }
  });
}

/// moving_gradient [C, D, H, W] of one item, zero before: every line collects from the lines whose
/// displacements lead to it.
void add_moving_gradient(const ItemLines& item,
                         const float* fixed,
                         const float* moving,
                         const float* gradient,
                         float* moving_gradient) {
  const std::int64_t count = displacement_count(item.half), width = item.shape[2];
  parallel_for(item.shape[0] * item.shape[1], kLinesAtOnce, [&](std::int64_t b, std::int64_t e) {
    for (std::int64_t line = b; line < e; ++line) {
      const std::int64_t z = line / item.shape[1], y = line % item.shape[1];
      for (std::int64_t k = 0; k < count; ++k) {
        const Index3 d = displacement(item.half, k);
        const std::int64_t from_z = z - d[0], from_y = y - d[1];
        if (from_z < 0 || from_z >= item.shape[0] || from_y < 0 || from_y >= item.shape[1])
          continue;
        const std::int64_t first = std::max<std::int64_t>(0, d[2]);
        const std::int64_t last = std::min(width, width + d[2]);
        if (first >= last) continue;
        for (std::int64_t c = 0; c < item.channels; ++c) {
          const std::int64_t to = item.line(c, z, y) + first;
          add_weighted_differences(gradient + item.line(k, from_z, from_y) + first - d[2],
                                   moving + to,
                                   fixed + item.line(c, from_z, from_y) + first - d[2],
                                   last - first,
                                   moving_gradient + to);
        }
      }
    }
  });
}

struct CostVolumeFunction : torch::autograd::Function<CostVolumeFunction> {
  static at::Tensor forward(torch::autograd::AutogradContext* context,
                            const at::Tensor& fixed,
                            const at::Tensor& moving,
                            const std::vector<std::int64_t>& half_width) {
    context->save_for_backward({fixed, moving});
    context->saved_data["half_width"] = half_width;
    const Index3 half{half_width[0], half_width[1], half_width[2]};
    std::vector<at::Tensor> items;
    for (std::int64_t i = 0; i < fixed.size(0); ++i)
      items.push_back(cost_slices(fixed[i], moving[i], half, 0, fixed.size(2)));
    return at::stack(items);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const std::vector<std::int64_t> half_width = context->saved_data["half_width"].toIntVector();
    const Index3 half{half_width[0], half_width[1], half_width[2]};
    const at::Tensor fixed = saved[0], moving = saved[1], gradient = gradients[0].contiguous();
    const at::Tensor wide = with_margin(moving, half).contiguous();
    at::Tensor by_fixed = at::zeros_like(fixed), by_moving = at::zeros_like(moving);
    const ItemLines lines(fixed, half);
    for (std::int64_t i = 0; i < fixed.size(0); ++i) {
      add_fixed_gradient(lines,
                         fixed[i].data_ptr<float>(),
                         wide[i].data_ptr<float>(),
                         gradient[i].data_ptr<float>(),
                         by_fixed[i].data_ptr<float>());
      add_moving_gradient(lines,
                          fixed[i].data_ptr<float>(),
                          moving[i].data_ptr<float>(),
                          gradient[i].data_ptr<float>(),
                          by_moving[i].data_ptr<float>());
    }
    return {by_fixed, by_moving, at::Tensor()};
  }
};

at::Tensor cost_volume_by_tensors(const at::Tensor& fixed,
                                  const at::Tensor& moving,
                                  const Index3& half_width) {
  const at::Tensor wide = with_margin(moving, half_width);
  std::vector<at::Tensor> costs;
  for (std::int64_t k = 0; k < displacement_count(half_width); ++k) {
    const Index3 d = displacement(half_width, k);
    at::Tensor shifted = wide;
    for (std::size_t axis = 0; axis < 3; ++axis) {
      const auto a = static_cast<std::int64_t>(axis) + 2;
      shifted = shifted.narrow(a, d[axis] + half_width[axis], fixed.size(a));
    }
    costs.push_back((fixed - shifted).square().sum(1));
  }
  return at::stack(costs, 1);
}

bool runs_on_kernel(const at::Tensor& x) { return x.is_cpu() && x.scalar_type() == at::kFloat; }

}  // namespace

at::Tensor cost_slices(const at::Tensor& fixed,
                       const at::Tensor& moving,
                       const Index3& half_width,
                       std::int64_t first_slice,
                       std::int64_t end_slice) {
  check_shape(fixed, {kAny, kAny, kAny, kAny}, "fixed features");
  check_shape(
      moving, {fixed.size(0), fixed.size(1), fixed.size(2), fixed.size(3)}, "moving features");
  TRIPTYCH_ASSERT(runs_on_kernel(fixed) && runs_on_kernel(moving));
  TRIPTYCH_ASSERT(0 <= first_slice && first_slice < end_slice && end_slice <= fixed.size(1));
  const at::NoGradGuard no_grad;
  const at::Tensor values = fixed.contiguous(), wide = with_margin(moving, half_width).contiguous();
  at::Tensor costs = at::empty(
      {displacement_count(half_width), end_slice - first_slice, fixed.size(2), fixed.size(3)},
      fixed.options());
  fill_costs(ItemLines(values, half_width),
             values.data_ptr<float>(),
             wide.data_ptr<float>(),
             first_slice,
             end_slice,
             costs.data_ptr<float>());
  return costs;
}

at::Tensor cost_volume(const at::Tensor& fixed,
                       const at::Tensor& moving,
                       const Index3& half_width) {
  check_shape(fixed, {kAny, kAny, kAny, kAny, kAny}, "fixed features");
  check_shape(moving,
              {fixed.size(0), fixed.size(1), fixed.size(2), fixed.size(3), fixed.size(4)},
              "moving features");
  for (const std::int64_t half : half_width) TRIPTYCH_ASSERT(half >= 0);
  if (!runs_on_kernel(fixed) || !runs_on_kernel(moving))
    return cost_volume_by_tensors(fixed, moving, half_width);
  return CostVolumeFunction::apply(fixed.contiguous(),
                                   moving.contiguous(),
                                   std::vector<std::int64_t>(half_width.begin(), half_width.end()));
}

at::Tensor search_displacements(const Index3& half_width) {
  const std::int64_t count = displacement_count(half_width);
  at::Tensor result = at::empty({count, 3}, at::kFloat);
  float* out = result.data_ptr<float>();
  for (std::int64_t k = 0; k < count; ++k) {
    const Index3 d = displacement(half_width, k);
    for (std::size_t axis = 0; axis < 3; ++axis) *out++ = static_cast<float>(d[2 - axis]);
  }
  return result;
}

at::Tensor soft_argmin(const at::Tensor& costs, const Index3& half_width, double temperature) {
  check_shape(costs, {kAny, displacement_count(half_width), kAny, kAny, kAny}, "costs");
  TRIPTYCH_ASSERT(temperature > 0.0);
  const at::Tensor probabilities = at::softmax(costs / -temperature, 1).flatten(2);
  const at::Tensor displacements = search_displacements(half_width).to(costs.options());
  return at::matmul(displacements.t(), probabilities)
      .view({costs.size(0), 3, costs.size(2), costs.size(3), costs.size(4)});
}

}  // namespace triptych
