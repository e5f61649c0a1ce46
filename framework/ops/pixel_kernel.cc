// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/pixel_kernel.h"

#include "framework/core/parallel.h"
#include "framework/ops/cpu_dispatch.h"
#include "framework/ops/detector_samples.h"
#include "framework/ops/vector16.h"

#include <algorithm>

// Register blocks must be unrolled at every optimisation level of the build.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3", "no-trapping-math")
#endif

namespace triptych {
namespace {

constexpr std::int64_t kBandRows = 32;      ///< rows of a tile
constexpr std::int64_t kTileFloats = 2048;  ///< of a row of a tile
constexpr std::int64_t kBlockRows = 4;      ///< rows that share what a few views lend to level 1
constexpr std::int64_t kViewsAtOnce = 4;    ///< whose values a pixel collects in registers
constexpr std::int64_t kViewsInCache = 16;  ///< whose part under a tile stays in level 2

/// A run of pixels in one row and the views that add to it. Plain arrays: a call of std::array's
/// operator, which builds without optimisation do not inline, would empty the vector registers.
struct Gathering {
  std::int64_t views, pixels, lanes;
  const DetectorSamples* samples[kViewsAtOnce];
  const float* lines[kViewsAtOnce];  ///< column 0 of DetectorSamples
};

template <int kVectors>
TRIPTYCH_ALWAYS_INLINE void gather_vectors(const Gathering& from, float* pixels) {
  constexpr std::int64_t kLanes = kVectors * kVectorFloats;
  for (std::int64_t i = 0; i < from.pixels; ++i, pixels += kLanes) {
    auto* target = reinterpret_cast<Vector16*>(pixels);
    Vector16 sum[kVectors];
    for (int v = 0; v < kVectors; ++v) sum[v] = target[v];
    for (std::int64_t view = 0; view < from.views; ++view) {
      const DetectorSamples& s = *from.samples[view];
      const float low = s.low[i], high = s.high[i];
      const float* first = from.lines[view] + s.column[i] * kLanes;
      const auto* a = reinterpret_cast<const Vector16*>(first);
      const auto* b = reinterpret_cast<const Vector16*>(first + kLanes);
      for (int v = 0; v < kVectors; ++v) sum[v] += low * a[v];
      for (int v = 0; v < kVectors; ++v) sum[v] += high * b[v];
    }
    for (int v = 0; v < kVectors; ++v) target[v] = sum[v];
  }
}

TRIPTYCH_ALWAYS_INLINE void gather_run_body(const Gathering& from, float* pixels) {
  if (from.lanes == 64) return gather_vectors<4>(from, pixels);
  if (from.lanes == 32) return gather_vectors<2>(from, pixels);
  gather_vectors<1>(from, pixels);
}
TRIPTYCH_VECTOR_KERNEL(gather_run, (const Gathering& from, float* pixels), (from, pixels))

template <int kVectors>
TRIPTYCH_ALWAYS_INLINE void scatter_vectors(const DetectorSamples& s,
                                            std::int64_t count,
                                            const float* pixels,
                                            float* line) {
  constexpr std::int64_t kLanes = kVectors * kVectorFloats;
  for (std::int64_t i = 0; i < count; ++i, pixels += kLanes) {
    const auto* value = reinterpret_cast<const Vector16*>(pixels);
    float* first = line + s.column[i] * kLanes;
    auto* a = reinterpret_cast<Vector16*>(first);
    auto* b = reinterpret_cast<Vector16*>(first + kLanes);
    for (int v = 0; v < kVectors; ++v) a[v] += s.low[i] * value[v];
    for (int v = 0; v < kVectors; ++v) b[v] += s.high[i] * value[v];
  }
}

TRIPTYCH_ALWAYS_INLINE void scatter_run_body(std::int64_t lanes,
                                             const DetectorSamples& samples,
                                             std::int64_t count,
                                             const float* pixels,
                                             float* line) {
  if (lanes == 64) return scatter_vectors<4>(samples, count, pixels, line);
  if (lanes == 32) return scatter_vectors<2>(samples, count, pixels, line);
  scatter_vectors<1>(samples, count, pixels, line);
}
TRIPTYCH_VECTOR_KERNEL(scatter_run,
                       (std::int64_t lanes,
                        const DetectorSamples& samples,
                        std::int64_t count,
                        const float* pixels,
                        float* line),
                       (lanes, samples, count, pixels, line))

}  // namespace

PixelKernel::PixelKernel(const ScanGeometry& scan,
                         const SliceGrid& grid,
                         std::int64_t detector_columns,
                         std::vector<double> angle_weights)
    : scan_(scan), grid_(grid), columns_(detector_columns), weights_(std::move(angle_weights)) {
  for (const double angle_rad : scan_.angles_rad) views_.emplace_back(scan_, grid_, angle_rad);
}

template <class Body>
void PixelKernel::visit_band(std::int64_t band, std::int64_t lanes, Body body) const {
  const std::int64_t first = band * kBandRows, width = kTileFloats / lanes;
  const std::int64_t last = std::min(grid_.rows, first + kBandRows);
  for (std::int64_t column = 0; column < grid_.columns; column += width)
    body(Tile{first, last, column, std::min(grid_.columns, column + width)});
}

void PixelKernel::gather_tile(const Tile& tile,
                              const PackedSlices& projections,
                              PackedSlices& image) const {
  const Detector detector = detector_of(scan_, columns_);
  const auto gather_block = [&](std::int64_t first_row, std::int64_t column, std::int64_t view) {
    Gathering from{};
    from.views = std::min(kViewsAtOnce, angles() - view);
    from.pixels = std::min<std::int64_t>(kPixelRun, tile.last_column - column);
    from.lanes = image.lanes();
    for (std::int64_t i = 0; i < from.views; ++i) from.lines[i] = projections.at(view + i, -1);
    const std::int64_t last_row = std::min(tile.last_row, first_row + kBlockRows);
    for (std::int64_t row = first_row; row < last_row; ++row) {
      DetectorSamples samples[kViewsAtOnce];
      for (std::int64_t i = 0; i < from.views; ++i) {
        const auto index = static_cast<std::size_t>(view + i);
        sample_row(detector,
                   grid_,
                   views_[index],
                   static_cast<double>(row),
                   static_cast<double>(column),
                   weights_[index],
                   &samples[i]);
        from.samples[i] = &samples[i];
      }
      gather_run(from, image.at(row, column));
    }
  };
  for (std::int64_t view = 0; view < angles(); view += kViewsInCache) {
    const std::int64_t last_view = std::min(angles(), view + kViewsInCache);
    for (std::int64_t row = tile.first_row; row < tile.last_row; row += kBlockRows) {
      for (std::int64_t column = tile.first_column; column < tile.last_column;
           column += kPixelRun) {
        for (std::int64_t v = view; v < last_view; v += kViewsAtOnce) gather_block(row, column, v);
      }
    }
  }
}

void PixelKernel::back_project(const PackedSlices& projections, PackedSlices& image) const {
  const std::int64_t bands = (grid_.rows + kBandRows - 1) / kBandRows;
  parallel_for(bands, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t band = begin; band < end; ++band) {
      visit_band(
          band, image.lanes(), [&](const Tile& tile) { gather_tile(tile, projections, image); });
    }
  });
}

void PixelKernel::project(const PackedSlices& image, PackedSlices& projections) const {
  const Detector detector = detector_of(scan_, columns_);
  const auto scatter_row = [&](const Tile& tile, std::int64_t row, std::size_t view, float* line) {
    for (std::int64_t column = tile.first_column; column < tile.last_column; column += kPixelRun) {
      DetectorSamples samples;
      sample_row(detector,
                 grid_,
                 views_[view],
                 static_cast<double>(row),
                 static_cast<double>(column),
                 weights_[view],
                 &samples);
      const auto count = std::min<std::int64_t>(kPixelRun, tile.last_column - column);
      scatter_run(image.lanes(), samples, count, image.at(row, column), line);
    }
  };
  const std::int64_t bands = (grid_.rows + kBandRows - 1) / kBandRows;
  const std::int64_t grain = std::max<std::int64_t>(1, angles() / (4 * num_threads()));
  parallel_for(angles(), grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t band = 0; band < bands; ++band) {
      visit_band(band, image.lanes(), [&](const Tile& tile) {
        for (std::int64_t angle = begin; angle < end; ++angle) {
          for (std::int64_t row = tile.first_row; row < tile.last_row; ++row)
            scatter_row(tile, row, static_cast<std::size_t>(angle), projections.at(angle, -1));
        }
      });
    }
  });
}

}  // namespace triptych
