// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/joseph_kernel.h"

#include "framework/core/parallel.h"
#include "framework/ops/cpu_dispatch.h"
#include "framework/ops/vector16.h"

#include <algorithm>
#include <cmath>

// Register blocks must be unrolled at every optimisation level of the build.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3", "no-trapping-math")
#endif

namespace triptych {
namespace {

constexpr int kFractionBits = 32;
constexpr std::int64_t kOne = std::int64_t{1} << kFractionBits;
constexpr std::int64_t kFractionMask = kOne - 1;
constexpr double kFarAway = 268435456.0;  ///< pixels: such a ray never meets the slice
constexpr std::int64_t kBandSamples =
    32;  ///< a ray's pixels in a band stay in the level-1 cache for the next ray
constexpr std::int64_t kTileFloats =
    4096;  ///< across a tile; times kBandSamples half of a level-2 cache of 1 MB

/// sums += length * sum of the interpolated pixels; `pixels` is position 0 at the first sample.
template <int kVectors>
TRIPTYCH_ALWAYS_INLINE void sum_vectors(const RaySamples& run, const float* pixels, float* sums) {
  Vector16 low[kVectors] = {}, high[kVectors] = {};
  std::int64_t position = run.position;
  for (std::int64_t i = 0; i < run.count; ++i) {
    const float* first = pixels + (position >> kFractionBits) * run.position_stride;
    const float fraction = static_cast<float>(position & kFractionMask) * 0x1p-32F;
    const float rest = 1.0F - fraction;
    const auto* a = reinterpret_cast<const Vector16*>(first);
    const auto* b = reinterpret_cast<const Vector16*>(first + run.position_stride);
    for (int v = 0; v < kVectors; ++v) {
      low[v] += rest * a[v];
      high[v] += fraction * b[v];
    }
    position += run.step;
    pixels += run.sample_stride;
  }
  auto* out = reinterpret_cast<Vector16*>(sums);
  for (int v = 0; v < kVectors; ++v) out[v] += run.length_cm * (low[v] + high[v]);
}

/// pixels += length * values, with the weights of sum_vectors.
template <int kVectors>
TRIPTYCH_ALWAYS_INLINE void spread_vectors(const RaySamples& run,
                                           float* pixels,
                                           const float* values) {
  Vector16 value[kVectors];
  for (int v = 0; v < kVectors; ++v)
    value[v] = run.length_cm * reinterpret_cast<const Vector16*>(values)[v];
  std::int64_t position = run.position;
  for (std::int64_t i = 0; i < run.count; ++i) {
    float* first = pixels + (position >> kFractionBits) * run.position_stride;
    const float fraction = static_cast<float>(position & kFractionMask) * 0x1p-32F;
    const float rest = 1.0F - fraction;
    auto* a = reinterpret_cast<Vector16*>(first);
    auto* b = reinterpret_cast<Vector16*>(first + run.position_stride);
    for (int v = 0; v < kVectors; ++v) a[v] += rest * value[v];
    for (int v = 0; v < kVectors; ++v) b[v] += fraction * value[v];
    position += run.step;
    pixels += run.sample_stride;
  }
}

TRIPTYCH_ALWAYS_INLINE void sum_run_body(std::int64_t lanes,
                                         const RaySamples& run,
                                         const float* pixels,
                                         float* sums) {
  if (lanes == 64) return sum_vectors<4>(run, pixels, sums);
  if (lanes == 32) return sum_vectors<2>(run, pixels, sums);
  sum_vectors<1>(run, pixels, sums);
}
TRIPTYCH_VECTOR_KERNEL(
    sum_run,
    (std::int64_t lanes, const RaySamples& run, const float* pixels, float* sums),
    (lanes, run, pixels, sums))

TRIPTYCH_ALWAYS_INLINE void spread_run_body(std::int64_t lanes,
                                            const RaySamples& run,
                                            float* pixels,
                                            const float* values) {
  if (lanes == 64) return spread_vectors<4>(run, pixels, values);
  if (lanes == 32) return spread_vectors<2>(run, pixels, values);
  spread_vectors<1>(run, pixels, values);
}
TRIPTYCH_VECTOR_KERNEL(
    spread_run,
    (std::int64_t lanes, const RaySamples& run, float* pixels, const float* values),
    (lanes, run, pixels, values))

/// The first sample i in [first, last] from which on a ray has passed `bound`: position >= bound
/// when it moves up, position < bound when it moves down. Exact.
std::int64_t passes(std::int64_t start,
                    std::int64_t step,
                    std::int64_t bound,
                    std::int64_t first,
                    std::int64_t last) {
  const auto passed = [&](std::int64_t i) {
    const std::int64_t position = start + step * i;
    return step > 0 ? position >= bound : position < bound;
  };
  const double guess = std::ceil(static_cast<double>(bound - start) / static_cast<double>(step));
  auto i = static_cast<std::int64_t>(
      std::clamp(guess, static_cast<double>(first), static_cast<double>(last)));
  while (i > first && passed(i - 1)) --i;
  while (i < last && !passed(i)) ++i;
  return i;
}

}  // namespace

JosephKernel::JosephKernel(const ScanGeometry& scan,
                           const SliceGrid& grid,
                           std::int64_t detector_columns)
    : grid_(grid), scan_(scan), columns_(detector_columns) {
  for (const double angle_rad : scan_.angles_rad) views_.emplace_back(scan_, grid_, angle_rad);
  rays_.resize(views_.size() * static_cast<std::size_t>(columns_));
  const auto fixed = [](double pixels) {
    return static_cast<std::int64_t>(std::llround(std::ldexp(pixels, kFractionBits)));
  };
  parallel_for(angles(), 8, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t index = begin * columns_; index < end * columns_; ++index) {
      const Ray ray = views_[static_cast<std::size_t>(index / columns_)].ray(
          static_cast<double>(index % columns_));
      const double start = std::clamp(ray.start, -kFarAway, kFarAway);
      rays_[static_cast<std::size_t>(index)] = {
          fixed(start), fixed(ray.step), static_cast<float>(ray.length_cm), ray.along_rows};
    }
  });
}

RaySamples JosephKernel::samples_in(const FixedRay& ray,
                                    const Tile& tile,
                                    const PackedSlices& image) {
  const std::int64_t low = tile.low * kOne, high = tile.high * kOne;
  std::int64_t enters = tile.first, leaves = tile.last;
  if (ray.step == 0) {
    if (ray.start < low || ray.start >= high) leaves = enters;
  } else {
    const std::int64_t near = ray.step > 0 ? low : high, far = ray.step > 0 ? high : low;
    enters = passes(ray.start, ray.step, near, tile.first, tile.last);
    leaves = passes(ray.start, ray.step, far, enters, tile.last);
  }
  RaySamples samples{};
  samples.position = ray.start + ray.step * enters;
  samples.step = ray.step;
  samples.count = leaves - enters;
  samples.sample_stride = tile.along_rows ? image.row_stride() : image.lanes();
  samples.position_stride = tile.along_rows ? image.lanes() : image.row_stride();
  samples.offset = enters * samples.sample_stride;
  samples.length_cm = ray.length_cm;
  return samples;
}

template <class Visit>
void JosephKernel::visit_rays(const Tile& tile,
                              std::int64_t angle,
                              const PackedSlices& image,
                              Visit visit) const {
  const ScanView& view = views_[static_cast<std::size_t>(angle)];
  double lowest = static_cast<double>(columns_), highest = -1.0;
  for (const std::int64_t sample : {tile.first, tile.last - 1}) {
    for (const std::int64_t position : {tile.low, tile.high}) {
      const auto a = static_cast<double>(sample), b = static_cast<double>(position);
      const double column = tile.along_rows ? view.sample(a, b).column : view.sample(b, a).column;
      lowest = std::min(lowest, column);
      highest = std::max(highest, column);
    }
  }
  // A column more to either side makes up for rounding: a ray beside the tile has no samples in it.
  const auto begin = static_cast<std::int64_t>(std::max(0.0, std::floor(lowest) - 1.0));
  const auto end = std::min(columns_, static_cast<std::int64_t>(std::ceil(highest)) + 2);
  for (std::int64_t column = begin; column < end; ++column) {
    const FixedRay& ray = rays_[static_cast<std::size_t>(angle * columns_ + column)];
    if (ray.along_rows != tile.along_rows) continue;
    const RaySamples samples = samples_in(ray, tile, image);
    if (samples.count > 0) visit(column, samples);
  }
}

template <class Body>
void JosephKernel::visit_band(bool along_rows,
                              std::int64_t band,
                              std::int64_t lanes,
                              Body body) const {
  const std::int64_t first = band * kBandSamples;
  const std::int64_t last = std::min(samples(along_rows), first + kBandSamples);
  const std::int64_t positions = samples(!along_rows), width = kTileFloats / lanes;
  // Position -1 lies between the border and the first pixel.
  for (std::int64_t low = -1; low < positions; low += width)
    body(Tile{along_rows, first, last, low, std::min(positions, low + width)});
}

std::int64_t JosephKernel::bands(bool along_rows) const {
  return (samples(along_rows) + kBandSamples - 1) / kBandSamples;
}

void JosephKernel::project(const PackedSlices& image, PackedSlices& projections) const {
  const auto add_tile = [&](const Tile& tile, std::int64_t angle) {
    visit_rays(tile, angle, image, [&](std::int64_t column, const RaySamples& samples) {
      sum_run(
          image.lanes(), samples, image.at(0, 0) + samples.offset, projections.at(angle, column));
    });
  };
  // A share of the angles reads the whole image once, so shares are as large as the threads allow.
  const std::int64_t grain = std::max<std::int64_t>(1, angles() / (4 * num_threads()));
  parallel_for(angles(), grain, [&](std::int64_t begin, std::int64_t end) {
    for (const bool along_rows : {true, false}) {
      for (std::int64_t band = 0; band < bands(along_rows); ++band) {
        visit_band(along_rows, band, image.lanes(), [&](const Tile& tile) {
          for (std::int64_t angle = begin; angle < end; ++angle) add_tile(tile, angle);
        });
      }
    }
  });
}

void JosephKernel::back_project(const PackedSlices& projections, PackedSlices& image) const {
  const auto add_tile = [&](const Tile& tile, std::int64_t angle) {
    visit_rays(tile, angle, image, [&](std::int64_t column, const RaySamples& samples) {
      spread_run(
          image.lanes(), samples, image.at(0, 0) + samples.offset, projections.at(angle, column));
    });
  };
  // Rays along rows write to the rows of their band alone, the others to the columns of theirs.
  for (const bool along_rows : {true, false}) {
    parallel_for(bands(along_rows), 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t band = begin; band < end; ++band) {
        visit_band(along_rows, band, image.lanes(), [&](const Tile& tile) {
          for (std::int64_t angle = 0; angle < angles(); ++angle) add_tile(tile, angle);
        });
      }
    });
  }
}

}  // namespace triptych
