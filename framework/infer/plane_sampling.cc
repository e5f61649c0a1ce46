// SPDX-License-Identifier: Apache-2.0
#include "framework/infer/plane_sampling.h"

#include "framework/core/error.h"
#include "framework/core/parallel.h"

#include <algorithm>
#include <cmath>

#include <ATen/ATen.h>

namespace triptych {
namespace {

constexpr std::int64_t kSampledRows = 8;
/// Rows of an oblique slice after which pages are let go: each of their pixels may touch another.
constexpr std::int64_t kReleasedRows = 32;

/// Index below a clamped position and the weight of the index above.
struct Cell {
  std::int64_t low;
  std::int64_t step;  ///< to the upper neighbour: 0 at the last voxel
  float fraction;
};

inline Cell cell_of(double position, std::int64_t size, std::int64_t stride) {
  const double clamped = std::clamp(position, 0.0, static_cast<double>(size - 1));
  const auto low = static_cast<std::int64_t>(clamped);
  return {low * stride,
          low + 1 < size ? stride : 0,
          static_cast<float>(clamped - static_cast<double>(low))};
}

/// One row of pixels from one channel [D, H, W]; starts at `start` and steps by `step` voxels.
void sample_row(const float* volume,
                const Index3& shape,
                const Eigen::Vector3d& start,
                const Eigen::Vector3d& step,
                float* out,
                std::int64_t columns) {
  for (std::int64_t j = 0; j < columns; ++j) {
    const Eigen::Vector3d at = start + static_cast<double>(j) * step;
    const Cell p = cell_of(at[0], shape[0], shape[1] * shape[2]);
    const Cell r = cell_of(at[1], shape[1], shape[2]);
    const Cell c = cell_of(at[2], shape[2], 1);
    const float* v = volume + p.low + r.low + c.low;
    const auto along_c = [&](std::int64_t offset) {
      return v[offset] + c.fraction * (v[offset + c.step] - v[offset]);
    };
    const float upper = along_c(0), lower = along_c(r.step);
    const float next_upper = along_c(p.step), next_lower = along_c(p.step + r.step);
    const float here = upper + r.fraction * (lower - upper);
    const float next = next_upper + r.fraction * (next_lower - next_upper);
    out[j] = here + p.fraction * (next - here);
  }
}

}  // namespace

at::Tensor sample_slab(const at::Tensor& volume,
                       const PlaneSet& planes,
                       std::int64_t slice,
                       std::int64_t slab,
                       const SliceWindow& window) {
  TRIPTYCH_ASSERT(volume.is_cpu() && volume.dim() == 4 && volume.scalar_type() == at::kFloat &&
                  volume.is_contiguous());
  const std::int64_t channels = volume.size(0);
  at::Tensor result = at::empty({1, channels, slab, window.rows, window.columns}, at::kFloat);
  if (planes.axis_aligned) {
    for (std::int64_t s = 0; s < slab; ++s) {
      const std::int64_t neighbour =
          std::clamp<std::int64_t>(slice + s - slab / 2, 0, planes.slices - 1);
      result.select(0, 0).select(1, s).copy_(volume.select(1 + planes.axis, neighbour));
    }
    return result;
  }
  const Index3 shape{volume.size(1), volume.size(2), volume.size(3)};
  const float* in = volume.data_ptr<float>();
  float* out = result.data_ptr<float>();
  const std::int64_t images = channels * slab;
  parallel_for(images * window.rows, kSampledRows, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      const std::int64_t image = row / window.rows, channel = image / slab;
      const auto neighbour = static_cast<double>(slice + image % slab - slab / 2);
      const Eigen::Vector3d start =
          planes.position(neighbour,
                          static_cast<double>(window.row + row % window.rows),
                          static_cast<double>(window.column));
      sample_row(in + channel * shape[0] * shape[1] * shape[2],
                 shape,
                 start,
                 planes.column,
                 out + row * window.columns,
                 window.columns);
    }
  });
  return result;
}

SlabReader::SlabReader(const VolumeStore& input,
                       const PlaneSet& planes,
                       std::int64_t slab,
                       std::int64_t block_bytes)
    : input_(input), planes_(planes), slab_(slab), block_planes_(planes) {
  if (input.in_memory() || !planes.axis_aligned || planes.axis == 0) return;
  const std::int64_t slice_bytes =
      input.channels() * planes.rows * planes.columns * static_cast<std::int64_t>(sizeof(float));
  block_slices_ = std::max(slab, block_bytes / slice_bytes);
}

void SlabReader::load_block(std::int64_t first) {
  block_first_ = std::max<std::int64_t>(0, first - slab_ / 2);
  block_end_ = std::min(planes_.slices, block_first_ + block_slices_ + slab_);
  Region region{{0, 0, 0}, input_.shape()};
  const auto axis = static_cast<std::size_t>(planes_.axis);
  region.start[axis] = block_first_;
  region.size[axis] = block_end_ - block_first_;
  block_ = input_.read(region);
  block_planes_.slices = block_end_ - block_first_;
}

at::Tensor SlabReader::read_from_store(std::int64_t slice, const SliceWindow& window) const {
  if (input_.in_memory() || planes_.axis_aligned)
    return sample_slab(input_.tensor(), planes_, slice, slab_, window);
  std::vector<at::Tensor> parts;
  SliceWindow part = window;
  for (std::int64_t row = 0; row < window.rows; row += kReleasedRows) {
    part.row = window.row + row;
    part.rows = std::min(kReleasedRows, window.rows - row);
    parts.push_back(sample_slab(input_.tensor(), planes_, slice, slab_, part));
    input_.release_pages();
  }
  return at::cat(parts, 3);
}

at::Tensor SlabReader::read(std::int64_t slice, const SliceWindow& window) {
  if (block_slices_ == 0) return read_from_store(slice, window);
  const std::int64_t needed_end = std::min(planes_.slices, slice + slab_ / 2 + 1);
  const std::int64_t needed_begin = std::max<std::int64_t>(0, slice - slab_ / 2);
  if (!block_.defined() || needed_begin < block_first_ || needed_end > block_end_)
    load_block(slice);
  return sample_slab(block_, block_planes_, slice - block_first_, slab_, window);
}

std::vector<std::uint8_t> inside_mask(const PlaneSet& planes,
                                      const Index3& shape,
                                      std::int64_t slice,
                                      const SliceWindow& window) {
  std::vector<std::uint8_t> mask(static_cast<std::size_t>(window.rows * window.columns), 1);
  if (planes.axis_aligned) return mask;
  for (std::int64_t i = 0; i < window.rows; ++i) {
    const Eigen::Vector3d start = planes.position(static_cast<double>(slice),
                                                  static_cast<double>(window.row + i),
                                                  static_cast<double>(window.column));
    for (std::int64_t j = 0; j < window.columns; ++j) {
      const Eigen::Vector3d at = start + static_cast<double>(j) * planes.column;
      bool inside = true;
      for (int k = 0; k < 3; ++k) {
        inside = inside && at[k] >= -kInsideTolerance &&
                 at[k] <= static_cast<double>(shape[k] - 1) + kInsideTolerance;
      }
      mask[static_cast<std::size_t>(i * window.columns + j)] = inside ? 1 : 0;
    }
  }
  return mask;
}

}  // namespace triptych
