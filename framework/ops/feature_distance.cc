// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/feature_distance.h"

#include "framework/core/error.h"
#include "framework/core/parallel.h"
#include "framework/core/shape.h"
#include "framework/ops/cpu_dispatch.h"
#include "framework/ops/vector16.h"
#include "framework/ops/warp.h"

#include <algorithm>
#include <vector>

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

// The loops over voxels must be vectorised at every optimisation level of the build.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3", "no-trapping-math", "no-math-errno")
#endif

namespace triptych {
namespace {

constexpr int kBlock = 16;  ///< voxels of a row whose cells are found together
constexpr std::int64_t kLinesAtOnce = 16;

/// A row of the grid, and what it is compared with. Weights may be null.
struct FeatureRow {
  Index3 shape;
  std::int64_t z, y, lanes;
  const float* fixed;            ///< of the row's first voxel
  const float* moving;           ///< of the image's first voxel
  const float* fixed_weight;     ///< of the row's first voxel
  const float* moving_weight;    ///< of the image's first voxel
  const float* displacement[3];  ///< of the row's first voxel, along W, H, D
  float* gradient[3];
  float factor;  ///< of the gradient
};

/// Where a block of positions lies along one axis.
struct AxisCells {
  alignas(64) std::int32_t cell[kBlock], nearest[kBlock];
  alignas(64) float fraction[kBlock];
  alignas(64) float varies[kBlock];  ///< 0 where the edge is repeated
};

/// Bounds first: a position far outside, or one that is no number, reads no memory outside.
TRIPTYCH_ALWAYS_INLINE void find_cells(
    const float* u, float first, float step, int count, std::int64_t size, AxisCells& out) {
  const auto last = static_cast<float>(size - 1);
  const auto last_cell = static_cast<std::int32_t>(size > 1 ? size - 2 : 0);
  alignas(64) float shift[kBlock] = {};
  for (int i = 0; i < count; ++i) shift[i] = u[i];
  for (int i = 0; i < kBlock; ++i) {
    const float position = (first + step * static_cast<float>(i)) + shift[i];
    float p = position > 0.0F ? position : 0.0F;
    p = p < last ? p : last;
    std::int32_t cell = static_cast<std::int32_t>(p);
    cell = cell < last_cell ? cell : last_cell;
    const float fraction = p - static_cast<float>(cell);
    out.cell[i] = cell;
    out.fraction[i] = fraction;
    out.nearest[i] = static_cast<std::int32_t>(p + 0.5F);
    out.varies[i] = position >= 0.0F && position < last ? 1.0F : 0.0F;
  }
}

/// Sums over the lanes of four vectors, in lanes 0, 4, 8 and 12 of `out`.
TRIPTYCH_ALWAYS_INLINE void sum_lanes(
    const Vector16& a, const Vector16& b, const Vector16& c, const Vector16& d, float* out) {
#define TRIPTYCH_HALVES(x, y)                                                              \
  (__builtin_shufflevector(x, y, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23) + \
   __builtin_shufflevector(x, y, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31))
  const Vector16 ab = TRIPTYCH_HALVES(a, b), cd = TRIPTYCH_HALVES(c, d);
#undef TRIPTYCH_HALVES
  Vector16 sum =
      __builtin_shufflevector(ab, cd, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27) +
      __builtin_shufflevector(ab, cd, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31);
  sum += __builtin_shufflevector(sum, sum, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13);
  sum += __builtin_shufflevector(sum, sum, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14);
  *reinterpret_cast<Vector16*>(out) = sum;
}

/// The eight corners of a cell: the first one's features, and the steps to the next ones in floats.
struct Corners {
  const float* first;
  std::int64_t x, y, z;
};

TRIPTYCH_ALWAYS_INLINE Vector16 const& vector_at(const float* values) {
  return *reinterpret_cast<const Vector16*>(values);
}

/// Sum over the channels of the squared difference, and of difference times slope along x, y and z.
TRIPTYCH_ALWAYS_INLINE void compare_voxel(const Corners& at,
                                          float fx,
                                          float fy,
                                          float fz,
                                          const float* fixed,
                                          std::int64_t lanes,
                                          float* sums) {
  Vector16 squares = {}, along_x = {}, along_y = {}, along_z = {};
  for (std::int64_t lane = 0; lane < lanes; lane += kVectorFloats) {
    const float *m00 = at.first + lane, *m01 = m00 + at.y, *m10 = m00 + at.z, *m11 = m10 + at.y;
    const Vector16 a00 = vector_at(m00), a01 = vector_at(m01), a10 = vector_at(m10),
                   a11 = vector_at(m11);
    const Vector16 x00 = vector_at(m00 + at.x) - a00, x01 = vector_at(m01 + at.x) - a01;
    const Vector16 x10 = vector_at(m10 + at.x) - a10, x11 = vector_at(m11 + at.x) - a11;
    const Vector16 b00 = a00 + fx * x00, b01 = a01 + fx * x01;
    const Vector16 b10 = a10 + fx * x10, b11 = a11 + fx * x11;
    const Vector16 y0 = b01 - b00, y1 = b11 - b10;
    const Vector16 c0 = b00 + fy * y0, c1 = b10 + fy * y1;
    const Vector16 x0 = x00 + fy * (x01 - x00), x1 = x10 + fy * (x11 - x10);
    const Vector16 z = c1 - c0;
    const Vector16 difference = (c0 + fz * z) - vector_at(fixed + lane);
    squares += difference * difference;
    along_x += difference * (x0 + fz * (x1 - x0));
    along_y += difference * (y0 + fz * (y1 - y0));
    along_z += difference * z;
  }
  sum_lanes(squares, along_x, along_y, along_z, sums);
}

TRIPTYCH_ALWAYS_INLINE void compare_block(const FeatureRow& row,
                                          std::int64_t first,
                                          int count,
                                          double& distance) {
  const auto [depth, height, width] = row.shape;
  AxisCells x, y, z;
  find_cells(row.displacement[0] + first, static_cast<float>(first), 1.0F, count, width, x);
  find_cells(row.displacement[1] + first, static_cast<float>(row.y), 0.0F, count, height, y);
  find_cells(row.displacement[2] + first, static_cast<float>(row.z), 0.0F, count, depth, z);
  const std::int64_t line = width * row.lanes, plane = height * line;
  for (int i = 0; i < count; ++i) {
    float weight = row.fixed_weight != nullptr ? row.fixed_weight[first + i] : 1.0F;
    if (row.moving_weight != nullptr)
      weight *= row.moving_weight[(z.nearest[i] * height + y.nearest[i]) * width + x.nearest[i]];
    const Corners corners{row.moving + z.cell[i] * plane + y.cell[i] * line + x.cell[i] * row.lanes,
                          width > 1 ? row.lanes : 0,
                          height > 1 ? line : 0,
                          depth > 1 ? plane : 0};
    alignas(64) float sums[kVectorFloats];
    compare_voxel(corners,
                  x.fraction[i],
                  y.fraction[i],
                  z.fraction[i],
                  row.fixed + (first + i) * row.lanes,
                  row.lanes,
                  sums);
    const float factor = row.factor * weight;
    row.gradient[0][first + i] = factor * x.varies[i] * sums[4];
    row.gradient[1][first + i] = factor * y.varies[i] * sums[8];
    row.gradient[2][first + i] = factor * z.varies[i] * sums[12];
    distance += static_cast<double>(weight * sums[0]);
  }
}

TRIPTYCH_ALWAYS_INLINE void compare_row_body(const FeatureRow& row, double& distance) {
  for (std::int64_t first = 0; first < row.shape[2]; first += kBlock) {
    const std::int64_t left = row.shape[2] - first;
    compare_block(row, first, static_cast<int>(left < kBlock ? left : kBlock), distance);
  }
}
TRIPTYCH_VECTOR_KERNEL(compare_row, (const FeatureRow& row, double& distance), (row, distance))

void check_pair(const FeaturePair& pair) {
  const at::Tensor& fixed = pair.fixed;
  check_shape(fixed, {1, kAny, kAny, kAny, kAny}, "fixed features");
  check_shape(pair.moving,
              {1, fixed.size(1), fixed.size(2), fixed.size(3), fixed.size(4)},
              "moving features");
  for (const at::Tensor& weight : {pair.fixed_weight, pair.moving_weight}) {
    if (weight.defined())
      check_shape(
          weight, {1, 1, fixed.size(2), fixed.size(3), fixed.size(4)}, "weight of the features");
  }
}

/// [1, C, D, H, W] -> [D, H, W, lanes].
at::Tensor channels_innermost(const at::Tensor& features, std::int64_t lanes) {
  constexpr std::int64_t kVoxelsAtOnce = 1 << 12, kRun = 64;  ///< a run's lanes stay in the cache
  const at::Tensor values = features.contiguous();
  at::Tensor packed =
      at::zeros({features.size(2), features.size(3), features.size(4), lanes}, features.options());
  const std::int64_t channels = features.size(1), voxels = values.numel() / channels;
  const float* from = values.data_ptr<float>();
  float* to = packed.data_ptr<float>();
  parallel_for(voxels, kVoxelsAtOnce, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t run = begin; run < end; run += kRun) {
      const std::int64_t last = std::min(end, run + kRun);
      for (std::int64_t c = 0; c < channels; ++c) {
        for (std::int64_t v = run; v < last; ++v) to[v * lanes + c] = from[c * voxels + v];
      }
    }
  });
  return packed;
}

const float* values_or_null(const at::Tensor& tensor) {
  return tensor.defined() ? tensor.data_ptr<float>() : nullptr;
}

/// Value and gradient are found together.
struct FeatureDistanceFunction : torch::autograd::Function<FeatureDistanceFunction> {
  static at::Tensor forward(torch::autograd::AutogradContext* context,
                            const at::Tensor& displacement,
                            const FeaturePair& pair) {
    const FeatureDistance distance(pair);
    const at::Tensor values = displacement.contiguous();
    at::Tensor gradient = at::empty_like(values);
    const double value = distance.evaluate(values.data_ptr<float>(), gradient.data_ptr<float>());
    context->save_for_backward({gradient / static_cast<double>(distance.voxels())});
    return at::full({}, value, displacement.options());
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    return {gradients[0] * context->get_saved_variables()[0], at::Tensor()};
  }
};

at::Tensor distance_by_tensors(const FeaturePair& pair, const at::Tensor& displacement) {
  const WarpOptions edge{WarpInterpolation::kLinear, WarpPadding::kEdge};
  const at::Tensor moving = warp_voxels(pair.moving, displacement, edge);
  at::Tensor distance = (moving - pair.fixed).square().mean(1, true);
  if (pair.fixed_weight.defined()) distance = distance * pair.fixed_weight;
  if (pair.moving_weight.defined()) {
    Geometry grid;
    grid.shape = {distance.size(2), distance.size(3), distance.size(4)};
    at::Tensor nearest = displacement.detach().clone();
    for (std::int64_t axis = 0; axis < 3; ++axis) {  // x, y, z: kept inside of the image
      const std::int64_t size = distance.size(4 - axis);
      std::vector<std::int64_t> shape(3, 1);
      shape[static_cast<std::size_t>(2 - axis)] = size;
      const at::Tensor index = at::arange(size, nearest.options()).view(shape);
      at::Tensor part = nearest.select(1, axis);
      part.copy_((part + index).clamp(0.0, static_cast<double>(size - 1)) - index);
    }
    distance = distance *
               warp_labels(pair.moving_weight.to(at::kLong), grid, nearest, grid, 0).to(distance);
  }
  return distance.mean();
}

bool runs_on_kernel(const at::Tensor& x) { return x.is_cpu() && x.scalar_type() == at::kFloat; }

}  // namespace

FeatureDistance::FeatureDistance(FeaturePair pair) {
  check_pair(pair);
  TRIPTYCH_ASSERT(runs_on_kernel(pair.fixed) && runs_on_kernel(pair.moving));
  const at::NoGradGuard no_grad;
  shape_ = {pair.fixed.size(2), pair.fixed.size(3), pair.fixed.size(4)};
  channels_ = pair.fixed.size(1);
  lanes_ = (channels_ + kVectorFloats - 1) / kVectorFloats * kVectorFloats;
  fixed_ = channels_innermost(pair.fixed, lanes_);
  pair.fixed.reset();
  moving_ = channels_innermost(pair.moving, lanes_);
  if (pair.fixed_weight.defined()) fixed_weight_ = pair.fixed_weight.contiguous();
  if (pair.moving_weight.defined()) moving_weight_ = pair.moving_weight.contiguous();
}

double FeatureDistance::evaluate(const float* displacement, float* gradient) const {
  const std::int64_t lines = shape_[0] * shape_[1], width = shape_[2], count = voxels();
  std::vector<double> sums(static_cast<std::size_t>((lines + kLinesAtOnce - 1) / kLinesAtOnce));
  parallel_for(lines, kLinesAtOnce, [&](std::int64_t begin, std::int64_t end) {
    double& sum = sums[static_cast<std::size_t>(begin / kLinesAtOnce)];
    for (std::int64_t line = begin; line < end; ++line) {
      const std::int64_t first = line * width;
      FeatureRow row{};
      row.shape = shape_;
      row.z = line / shape_[1];
      row.y = line % shape_[1];
      row.lanes = lanes_;
      row.fixed = fixed_.data_ptr<float>() + first * lanes_;
      row.moving = moving_.data_ptr<float>();
      row.fixed_weight = fixed_weight_.defined() ? values_or_null(fixed_weight_) + first : nullptr;
      row.moving_weight = values_or_null(moving_weight_);
      row.factor = 2.0F / static_cast<float>(channels_);
      for (int c = 0; c < 3; ++c) {
        row.displacement[c] = displacement + c * count + first;
        row.gradient[c] = gradient + c * count + first;
      }
      compare_row(row, sum);
    }
  });
  double sum = 0.0;
  for (const double part : sums) sum += part;
  return sum / static_cast<double>(channels_ * count);
}

at::Tensor feature_distance(const FeaturePair& pair, const at::Tensor& displacement_voxel) {
  check_pair(pair);
  check_shape(displacement_voxel,
              {1, 3, pair.fixed.size(2), pair.fixed.size(3), pair.fixed.size(4)},
              "displacement");
  const bool needs_features =
      at::GradMode::is_enabled() && (pair.fixed.requires_grad() || pair.moving.requires_grad());
  const bool fits = runs_on_kernel(pair.fixed) && runs_on_kernel(pair.moving) &&
                    runs_on_kernel(displacement_voxel);
  if (needs_features || !fits) return distance_by_tensors(pair, displacement_voxel);
  return FeatureDistanceFunction::apply(displacement_voxel, pair);
}

}  // namespace triptych
