// SPDX-License-Identifier: Apache-2.0
// The adjoint of sampling: values of the target back to the voxels they came from.
#include "framework/ops/warp_kernel.h"
#include "framework/ops/warp_taps.h"

#include <algorithm>
#include <vector>

// The loops over lanes must be vectorised at every optimisation level of the build.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3", "no-trapping-math", "no-math-errno")
#endif

namespace triptych {
namespace {

using namespace warp_detail;

constexpr std::int64_t kScatterParts = 24;  ///< parts of an image that threads own

/// The image's voxels that a part of the scattering owns, or that a row reaches.
struct OffsetRange {
  std::int32_t begin, end;  ///< offsets of lines, whole ones
};

template <int kTaps>
TRIPTYCH_ALWAYS_INLINE void range_of_taps(const WarpTask& task,
                                          const TargetRow& row,
                                          OffsetRange& range) {
  Positions positions;
  Taps<kTaps> taps;
  const std::int64_t width = task.target[2];
  std::int32_t begin = INT32_MAX, end = 0;
  for (std::int64_t first = 0; first < width; first += kLanes) {
    const int count = static_cast<int>(width - first < kLanes ? width - first : kLanes);
    find_positions(task, row, first, count, positions);
    find_taps<kTaps>(task, positions, taps);
    for (int i = 0; i < count; ++i) {
      const std::int32_t low = taps.z.offset[0][i] + taps.y.offset[0][i];
      const std::int32_t high = taps.z.offset[kTaps - 1][i] + taps.y.offset[kTaps - 1][i];
      begin = low < begin ? low : begin;
      end = high > end ? high : end;
    }
  }
  range = {begin, end + 1};
}

template <int kTaps>
TRIPTYCH_ALWAYS_INLINE void scatter_taps(const WarpTask& task,
                                         const TargetRow& row,
                                         const OffsetRange& owned,
                                         const float* gradient,
                                         float* image_gradient) {
  Positions positions;
  Taps<kTaps> taps;
  const std::int64_t width = task.target[2];
  const std::int64_t image_voxels = volume(task.image), voxels = volume(task.target);
  for (std::int64_t first = 0; first < width; first += kLanes) {
    const int count = static_cast<int>(width - first < kLanes ? width - first : kLanes);
    find_positions(task, row, first, count, positions);
    find_taps<kTaps>(task, positions, taps);
    for (std::int64_t c = 0; c < task.channels; ++c) {
      const std::int64_t plane = row.item * task.channels + c;
      const float* from = gradient + plane * voxels + row.first_voxel + first;
      float* to = image_gradient + plane * image_voxels;
      for (int i = 0; i < count; ++i) {
        for (int tz = 0; tz < kTaps; ++tz) {
          for (int ty = 0; ty < kTaps; ++ty) {
            const std::int32_t line = taps.z.offset[tz][i] + taps.y.offset[ty][i];
            if (line < owned.begin || line >= owned.end) continue;
            const float share = from[i] * taps.z.weight[tz][i] * taps.y.weight[ty][i];
            for (int tx = 0; tx < kTaps; ++tx)
              to[line + taps.x.offset[tx][i]] += share * taps.x.weight[tx][i];
          }
        }
      }
    }
  }
}

TRIPTYCH_ALWAYS_INLINE void find_range_body(const WarpTask& task,
                                            const TargetRow& row,
                                            OffsetRange& range) {
  task.cubic ? range_of_taps<4>(task, row, range) : range_of_taps<2>(task, row, range);
}
TRIPTYCH_VECTOR_KERNEL(find_range,
                       (const WarpTask& task, const TargetRow& row, OffsetRange& range),
                       (task, row, range))

TRIPTYCH_ALWAYS_INLINE void scatter_row_body(const WarpTask& task,
                                             const TargetRow& row,
                                             const OffsetRange& owned,
                                             const float* gradient,
                                             float* image_gradient) {
  task.cubic ? scatter_taps<4>(task, row, owned, gradient, image_gradient)
             : scatter_taps<2>(task, row, owned, gradient, image_gradient);
}
TRIPTYCH_VECTOR_KERNEL(scatter_row,
                       (const WarpTask& task,
                        const TargetRow& row,
                        const OffsetRange& owned,
                        const float* gradient,
                        float* image_gradient),
                       (task, row, owned, gradient, image_gradient))

}  // namespace

void warp_image_gradient(const WarpTask& task,
                         const float* field,
                         const float* gradient,
                         float* image_gradient) {
  const std::int64_t rows = task.target[0] * task.target[1];
  std::vector<OffsetRange> reach(static_cast<std::size_t>(task.items * rows));
  for_each_row(task, field, [&](std::int64_t index, const TargetRow& row) {
    find_range(task, row, reach[static_cast<std::size_t>(index)]);
  });
  const std::int64_t lines = task.image[0] * task.image[1];
  const std::int64_t parts = std::min(kScatterParts, lines);
  parallel_for(task.items * parts, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t part = begin; part < end; ++part) {
      const auto offset_of = [&](std::int64_t border) {
        return static_cast<std::int32_t>(border * lines / parts * task.image[2]);
      };
      const OffsetRange owned{offset_of(part % parts), offset_of(part % parts + 1)};
      const std::int64_t first_row = part / parts * rows;
      for (std::int64_t row = first_row; row < first_row + rows; ++row) {
        const OffsetRange& range = reach[static_cast<std::size_t>(row)];
        if (range.begin < owned.end && range.end > owned.begin)
          scatter_row(task, row_of(task, field, row), owned, gradient, image_gradient);
      }
    }
  });
}

}  // namespace triptych
