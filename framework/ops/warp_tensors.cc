// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/warp_tensors.h"

#include <algorithm>
#include <array>
#include <vector>

#include <ATen/ATen.h>

namespace triptych {
namespace {

constexpr std::int64_t kBilinear = 0, kZeros = 0, kBorder = 1;  ///< grid_sampler's numbers

/// Positions along x, y and z in voxels of the image, each [items, D, H, W].
std::array<at::Tensor, 3> positions_of(const WarpTask& task,
                                       const at::Tensor& field,
                                       std::int64_t items,
                                       const at::TensorOptions& options) {
  const auto axis_indices = [&](std::size_t axis) {
    std::array<std::int64_t, 3> shape{1, 1, 1};
    shape[axis] = task.target[axis];
    return at::arange(task.target[axis], options).view(shape);
  };
  const std::array<at::Tensor, 3> index{axis_indices(2), axis_indices(1), axis_indices(0)};
  const auto combination = [](const double* row, const auto& parts) {
    return row[0] * parts[0] + row[1] * parts[1] + row[2] * parts[2];
  };
  std::array<at::Tensor, 3> positions;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const at::Tensor fixed = combination(task.map.index + 3 * axis, index) + task.map.offset[axis];
    positions[axis] = fixed.expand({items, task.target[0], task.target[1], task.target[2]});
    if (field.defined())
      positions[axis] = positions[axis] + combination(task.map.step + 3 * axis, field.unbind(1));
  }
  return positions;
}

at::Tensor sample_linear(const WarpTask& task,
                         const at::Tensor& image,
                         const std::array<at::Tensor, 3>& positions) {
  std::vector<at::Tensor> normalised;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const double half = 0.5 * static_cast<double>(task.image[2 - axis] - 1);
    normalised.push_back(half > 0.0 ? positions[axis] / half - 1.0
                                    : at::zeros_like(positions[axis]));
  }
  return at::grid_sampler(
      image, at::stack(normalised, -1), kBilinear, task.edge ? kBorder : kZeros, true);
}

/// Weights of the four voxels about positions at a fraction behind the second (Keys, a = -1/2).
std::array<at::Tensor, 4> cubic_weights(const at::Tensor& f) {
  return {((-0.5 * f + 1.0) * f - 0.5) * f,
          (1.5 * f - 2.5) * f * f + 1.0,
          ((-1.5 * f + 2.0) * f + 0.5) * f,
          (0.5 * f - 0.5) * f * f};
}

struct CubicAxis {
  std::array<at::Tensor, 4> voxel;   ///< int64, inside
  std::array<at::Tensor, 4> weight;  ///< 0 where the voxel is outside and zero
};

CubicAxis cubic_axis(const at::Tensor& position, std::int64_t size, bool edge) {
  const at::Tensor cell = position.detach().clamp(-4.0, static_cast<double>(size + 3)).floor();
  CubicAxis result{{}, cubic_weights(position - cell)};
  for (std::int64_t t = 0; t < 4; ++t) {
    const auto tap = static_cast<std::size_t>(t);
    const at::Tensor voxel = cell.to(at::kLong) + (t - 1);
    result.voxel[tap] = voxel.clamp(0, size - 1);
    if (!edge && size > 1)
      result.weight[tap] = at::where(
          voxel == result.voxel[tap], result.weight[tap], at::zeros_like(result.weight[tap]));
  }
  return result;
}

at::Tensor sample_cubic(const WarpTask& task,
                        const at::Tensor& image,
                        const std::array<at::Tensor, 3>& positions) {
  std::array<CubicAxis, 3> axes;
  for (std::size_t axis = 0; axis < 3; ++axis)
    axes[axis] = cubic_axis(positions[axis], task.image[2 - axis], task.edge);
  const at::Tensor flat = image.flatten(2);
  const std::int64_t items = image.size(0), channels = image.size(1);
  at::Tensor sum;
  for (std::size_t tap = 0; tap < 64; ++tap) {
    const std::size_t tx = tap % 4, ty = tap / 4 % 4, tz = tap / 16;
    const at::Tensor offset =
        (axes[2].voxel[tz] * task.image[1] + axes[1].voxel[ty]) * task.image[2] + axes[0].voxel[tx];
    const at::Tensor weight = axes[2].weight[tz] * axes[1].weight[ty] * axes[0].weight[tx];
    const at::Tensor where = offset.view({items, 1, -1}).expand({items, channels, -1});
    const at::Tensor part = flat.gather(2, where) * weight.reshape({items, 1, -1});
    sum = sum.defined() ? sum + part : part;
  }
  return sum.view({items, channels, task.target[0], task.target[1], task.target[2]});
}

}  // namespace

at::Tensor warp_by_tensors(const WarpTask& task, const at::Tensor& image, const at::Tensor& field) {
  const auto positions = positions_of(task, field, image.size(0), image.options());
  return task.cubic ? sample_cubic(task, image, positions) : sample_linear(task, image, positions);
}

at::Tensor nearest_by_tensors(const WarpTask& task,
                              const at::Tensor& field,
                              std::int64_t items,
                              const at::TensorOptions& options) {
  const auto positions = positions_of(task, field, items, options);
  at::Tensor offset, inside;
  for (std::size_t axis = 3; axis-- > 0;) {  // z, y, x
    const std::int64_t size = task.image[2 - axis];
    const at::Tensor rounded = (positions[axis] + 0.5).floor();
    const at::Tensor within = size == 1 ? at::ones_like(rounded, at::kBool)
                                        : (rounded >= 0.0).logical_and(rounded < size);
    const at::Tensor voxel = rounded.clamp(0.0, static_cast<double>(size - 1)).to(at::kLong);
    offset = offset.defined() ? offset * size + voxel : voxel;
    inside = inside.defined() ? inside.logical_and(within) : within;
  }
  return at::where(inside, offset, at::full_like(offset, -1)).flatten(1);
}

}  // namespace triptych
