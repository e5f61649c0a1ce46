// SPDX-License-Identifier: Apache-2.0
#include "framework/registration/joint_histogram_kernel.h"

#include "framework/core/parallel.h"
#include "framework/ops/cpu_dispatch.h"

#include <algorithm>

// The loops over lanes must be vectorised at every optimisation level of the build.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3", "no-trapping-math", "no-math-errno")
#endif

// Tuning for processors in general loads every lane alone instead of gathering.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#pragma GCC target("tune=skylake-avx512")
#endif

namespace triptych {
namespace {

constexpr int kLanes = FixedPositions::kBlock;
constexpr std::int64_t kPositionsAtOnce = 8192;

/// One axis of the moving grid; an axis of one voxel is left out.
struct Axis {
  float last = 0.0F, margin = 1.0F;  ///< margin: how far beyond the last voxel the weight is 0
  std::int32_t highest = 0;          ///< lower voxel of the last pair
  std::int32_t stride = 0;
  float row[4] = {};
};

struct Task {
  const float* values;
  const float* mask;
  Axis axis[3];
};

Task make_task(const MovingVoxels& moving) {
  Task task{moving.values, moving.mask, {}};
  std::int64_t stride = 1;
  for (std::size_t a = 0; a < 3; ++a) {
    Axis& axis = task.axis[a];
    if (moving.size[a] > 1) {
      axis.last = static_cast<float>(moving.size[a] - 1);
      axis.margin = 0.5F;
      axis.highest = static_cast<std::int32_t>(moving.size[a] - 2);
      axis.stride = static_cast<std::int32_t>(stride);
      std::copy(moving.index[a].begin(), moving.index[a].end(), axis.row);
    }
    stride *= moving.size[a];
  }
  return task;
}

/// Interpolated values at a block of positions. Slopes are by x, y, z of the voxel grid.
struct Block {
  const float *x, *y, *z;
  const std::int32_t* bin;
  int count;  ///< lanes beyond are filled up and do not count
  alignas(64) float value[kLanes], weight[kLanes];
  alignas(64) float value_slope[3][kLanes], weight_slope[3][kLanes];
};

struct Taps {
  alignas(64) std::int32_t offset[kLanes];
  alignas(64) float share[kLanes], weight[kLanes], weight_slope[kLanes], within[kLanes];
};

TRIPTYCH_ALWAYS_INLINE void find_taps(const Axis& axis, const Block& block, Taps& taps) {
  for (int i = 0; i < kLanes; ++i) {
    const float p = axis.row[0] * block.x[i] + axis.row[1] * block.y[i] + axis.row[2] * block.z[i] +
                    axis.row[3];
    const float below = p + axis.margin, above = axis.last + axis.margin - p;
    const float edge = below < above ? below : above;
    const float low = p > 0.0F ? p : 0.0F;
    const float held = low < axis.last ? low : axis.last;
    const auto whole = static_cast<std::int32_t>(held);
    const std::int32_t lower = whole < axis.highest ? whole : axis.highest;
    taps.offset[i] = lower * axis.stride;
    taps.share[i] = held - static_cast<float>(lower);
    taps.within[i] = held == p ? 1.0F : 0.0F;
    const float most = edge < 1.0F ? edge : 1.0F;
    taps.weight[i] = most > 0.0F ? most : 0.0F;
    const float sign = below < above ? 1.0F : -1.0F;
    taps.weight_slope[i] = edge > 0.0F && edge < 1.0F ? sign : 0.0F;
  }
}

/// Values of `voxels` at the taps and, if wanted, their slopes.
template <bool kSlopes>
TRIPTYCH_ALWAYS_INLINE void interpolate(const float* voxels,
                                        const Task& task,
                                        const Taps (&taps)[3],
                                        float* value,
                                        float (*slope)[kLanes]) {
  const std::int32_t dx = task.axis[0].stride, dy = task.axis[1].stride, dz = task.axis[2].stride;
  for (int i = 0; i < kLanes; ++i) {
    const float* v = voxels + (taps[0].offset[i] + taps[1].offset[i] + taps[2].offset[i]);
    const float sx = taps[0].share[i], sy = taps[1].share[i], sz = taps[2].share[i];
    const float slope_a = v[dx] - v[0], slope_b = v[dy + dx] - v[dy];
    const float slope_c = v[dz + dx] - v[dz], slope_d = v[dz + dy + dx] - v[dz + dy];
    const float a = v[0] + sx * slope_a, b = v[dy] + sx * slope_b;
    const float c = v[dz] + sx * slope_c, d = v[dz + dy] + sx * slope_d;
    const float low = a + sy * (b - a), high = c + sy * (d - c);
    value[i] = low + sz * (high - low);
    if constexpr (kSlopes) {
      const float near = slope_a + sy * (slope_b - slope_a);
      const float far = slope_c + sy * (slope_d - slope_c);
      slope[0][i] = taps[0].within[i] * (near + sz * (far - near));
      slope[1][i] = taps[1].within[i] * ((b - a) + sz * ((d - c) - (b - a)));
      slope[2][i] = taps[2].within[i] * (high - low);
    }
  }
}

TRIPTYCH_ALWAYS_INLINE void find_weight_slopes(const Taps (&taps)[3], Block& block) {
  for (int i = 0; i < kLanes; ++i) {
    const float x = taps[0].weight[i], y = taps[1].weight[i], z = taps[2].weight[i];
    block.weight_slope[0][i] = taps[0].weight_slope[i] * y * z;
    block.weight_slope[1][i] = x * taps[1].weight_slope[i] * z;
    block.weight_slope[2][i] = x * y * taps[2].weight_slope[i];
  }
}

template <bool kSlopes>
TRIPTYCH_ALWAYS_INLINE void apply_mask(const Task& task, const Taps (&taps)[3], Block& block) {
  alignas(64) float mask[kLanes], slope[3][kLanes];
  interpolate<kSlopes>(task.mask, task, taps, mask, slope);
  for (int a = 0; a < 3 && kSlopes; ++a) {
    for (int i = 0; i < kLanes; ++i)
      block.weight_slope[a][i] = block.weight_slope[a][i] * mask[i] + block.weight[i] * slope[a][i];
  }
  for (int i = 0; i < kLanes; ++i) block.weight[i] *= mask[i];
}

template <bool kSlopes>
TRIPTYCH_ALWAYS_INLINE void sample(const Task& task, Block& block) {
  Taps taps[3];
  for (int a = 0; a < 3; ++a) find_taps(task.axis[a], block, taps[a]);
  interpolate<kSlopes>(task.values, task, taps, block.value, block.value_slope);
  for (int i = 0; i < kLanes; ++i)
    block.weight[i] = taps[0].weight[i] * taps[1].weight[i] * taps[2].weight[i];
  if (kSlopes) find_weight_slopes(taps, block);
  if (task.mask) apply_mask<kSlopes>(task, taps, block);
}

TRIPTYCH_ALWAYS_INLINE void sample_values_body(const Task& task, Block& block) {
  sample<false>(task, block);
}
TRIPTYCH_VECTOR_KERNEL(sample_values, (const Task& task, Block& block), (task, block))

TRIPTYCH_ALWAYS_INLINE void sample_slopes_body(const Task& task, Block& block) {
  sample<true>(task, block);
}
TRIPTYCH_VECTOR_KERNEL(sample_slopes, (const Task& task, Block& block), (task, block))

void set_block(const FixedPositions& fixed, std::int64_t first, Block& block) {
  block.x = fixed.x() + first;
  block.y = fixed.y() + first;
  block.z = fixed.z() + first;
  block.bin = fixed.bins() + first;
  block.count = static_cast<int>(std::min<std::int64_t>(kLanes, fixed.size() - first));
}

/// Quadratic B-splines of the three bins about a value, and their derivatives.
struct Window {
  std::int32_t first;
  float weight[3], slope[3];
};

TRIPTYCH_ALWAYS_INLINE Window window(float bin) {
  const auto nearest = static_cast<std::int32_t>(bin + 0.5F);
  const float u = bin - static_cast<float>(nearest);
  const float left = 0.5F - u, right = 0.5F + u;
  return {nearest,
          {0.5F * left * left, 0.75F - u * u, 0.5F * right * right},
          {-left, -2.0F * u, right}};
}

/// A block's share of the gradients: what each position adds to d value / d index.
struct BlockSums {
  float by_index[2][3][kLanes] = {};  ///< of the function, of the weights
  float by_position[2][3][3][kLanes] = {};
};

TRIPTYCH_ALWAYS_INLINE void add_block_body(const Block& block,
                                           const float (&by_grey)[kLanes],
                                           const float (&by_weight)[kLanes],
                                           const float (&counted)[kLanes],
                                           BlockSums& sums) {
  for (int a = 0; a < 3; ++a) {
    for (int i = 0; i < kLanes; ++i) {
      const float weight = counted[i] * block.weight_slope[a][i];
      const float function = by_weight[i] * weight + by_grey[i] * block.value_slope[a][i];
      sums.by_index[0][a][i] += function;
      sums.by_index[1][a][i] += weight;
      sums.by_position[0][a][0][i] += function * block.x[i];
      sums.by_position[0][a][1][i] += function * block.y[i];
      sums.by_position[0][a][2][i] += function * block.z[i];
      sums.by_position[1][a][0][i] += weight * block.x[i];
      sums.by_position[1][a][1][i] += weight * block.y[i];
      sums.by_position[1][a][2][i] += weight * block.z[i];
    }
  }
}
TRIPTYCH_VECTOR_KERNEL(add_block,
                       (const Block& block,
                        const float (&by_grey)[kLanes],
                        const float (&by_weight)[kLanes],
                        const float (&counted)[kLanes],
                        BlockSums& sums),
                       (block, by_grey, by_weight, counted, sums))

double lane_sum(const float (&lanes)[kLanes]) {
  double sum = 0.0;
  for (const float lane : lanes) sum += lane;
  return sum;
}

void add_lanes(const BlockSums& sums, std::size_t of, IndexGradient& gradient) {
  for (std::size_t a = 0; a < 3; ++a) {
    gradient.sum[a] += lane_sum(sums.by_index[of][a]);
    for (std::size_t b = 0; b < 3; ++b)
      gradient.by_position[a][b] += lane_sum(sums.by_position[of][a][b]);
  }
}

std::size_t chunk_count(std::int64_t positions) {
  return static_cast<std::size_t>((positions + kPositionsAtOnce - 1) / kPositionsAtOnce);
}

}  // namespace

void FixedPositions::add(float x, float y, float z, std::int32_t bin) {
  const auto at = static_cast<std::size_t>(size_++);
  if (at == bins_.size()) {
    x_.resize(at + kBlock, 0.0F);
    y_.resize(at + kBlock, 0.0F);
    z_.resize(at + kBlock, 0.0F);
    bins_.resize(at + kBlock, 0);
  }
  x_[at] = x;
  y_[at] = y;
  z_[at] = z;
  bins_[at] = bin;
}

std::vector<double> count_pairs(const FixedPositions& fixed,
                                const MovingVoxels& moving,
                                std::int64_t bins) {
  const Task task = make_task(moving);
  const std::int64_t row = histogram_row(bins);
  const auto cells = static_cast<std::size_t>(bins * row);
  std::vector<std::vector<float>> parts(chunk_count(fixed.size()));
  parallel_for(fixed.size(), kPositionsAtOnce, [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> counts(cells, 0.0F);
    Block block;
    for (std::int64_t first = begin; first < end; first += kLanes) {
      set_block(fixed, first, block);
      sample_values(task, block);
      for (int i = 0; i < block.count; ++i) {
        const Window bin = window(block.value[i]);
        float* cell = counts.data() + block.bin[i] * row + bin.first;
        for (int k = 0; k < 3; ++k) cell[k] += block.weight[i] * bin.weight[k];
      }
    }
    parts[static_cast<std::size_t>(begin / kPositionsAtOnce)] = std::move(counts);
  });
  std::vector<double> histogram(cells, 0.0);
  for (const std::vector<float>& part : parts) {
    for (std::size_t i = 0; i < cells; ++i) histogram[i] += part[i];
  }
  return histogram;
}

PairGradients differentiate_pairs(const FixedPositions& fixed,
                                  const MovingVoxels& moving,
                                  std::int64_t bins,
                                  const std::vector<float>& by_cell) {
  const Task task = make_task(moving);
  const std::int64_t row = histogram_row(bins);
  std::vector<BlockSums> parts(chunk_count(fixed.size()));
  parallel_for(fixed.size(), kPositionsAtOnce, [&](std::int64_t begin, std::int64_t end) {
    BlockSums& sums = parts[static_cast<std::size_t>(begin / kPositionsAtOnce)];
    Block block;
    alignas(64) float by_grey[kLanes], by_weight[kLanes], counted[kLanes];
    for (std::int64_t first = begin; first < end; first += kLanes) {
      set_block(fixed, first, block);
      sample_slopes(task, block);
      for (int i = 0; i < kLanes; ++i) {
        const Window bin = window(block.value[i]);
        const float* cell = by_cell.data() + block.bin[i] * row + bin.first;
        counted[i] = i < block.count ? 1.0F : 0.0F;
        by_weight[i] = bin.weight[0] * cell[0] + bin.weight[1] * cell[1] + bin.weight[2] * cell[2];
        by_grey[i] = counted[i] * block.weight[i] *
                     (bin.slope[0] * cell[0] + bin.slope[1] * cell[1] + bin.slope[2] * cell[2]);
      }
      add_block(block, by_grey, by_weight, counted, sums);
    }
  });
  PairGradients gradients;
  for (const BlockSums& part : parts) {
    add_lanes(part, 0, gradients.function);
    add_lanes(part, 1, gradients.weight);
  }
  return gradients;
}

}  // namespace triptych
