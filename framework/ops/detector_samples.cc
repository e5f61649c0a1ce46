// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/detector_samples.h"

#include "framework/ops/cpu_dispatch.h"

#include <cmath>

// The loops below must be vectorised at every optimisation level of the build.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3", "no-trapping-math", "no-math-errno")
#endif

namespace triptych {
namespace {

/// Pixels along a row as seen from the source: mm across and along the central ray.
struct RowOfPixels {
  double across, across_step, depth, depth_step;
};

/// arctan of y / x for x > 0, within 2e-9 of a radian: two halvings of the angle, then its
/// series.
TRIPTYCH_ALWAYS_INLINE double arctan(double y, double x) {
  const double half = y / (x + __builtin_sqrt(x * x + y * y));
  const double t = half / (1.0 + __builtin_sqrt(1.0 + half * half));
  const double s = t * t;
  double series = -1.0 / 19.0;
  series = series * s + 1.0 / 17.0;
  series = series * s - 1.0 / 15.0;
  series = series * s + 1.0 / 13.0;
  series = series * s - 1.0 / 11.0;
  series = series * s + 1.0 / 9.0;
  series = series * s - 1.0 / 7.0;
  series = series * s + 1.0 / 5.0;
  series = series * s - 1.0 / 3.0;
  return 4.0 * (t + t * s * series);
}

template <ScanGeometry::Beam kBeam>
TRIPTYCH_ALWAYS_INLINE void sample_beam(const Detector& detector,
                                        const RowOfPixels& pixels,
                                        double weight,
                                        DetectorSamples* samples) {
  for (int i = 0; i < kPixelRun; ++i) {
    const double across = pixels.across + i * pixels.across_step;
    const double depth = pixels.depth + i * pixels.depth_step;
    double position = across, factor = weight;
    if constexpr (kBeam == ScanGeometry::Beam::kFanFlat) {
      position = across / depth;
      const double ratio = detector.source_to_axis_mm / depth;
      factor = weight * ratio * ratio;
    } else if constexpr (kBeam == ScanGeometry::Beam::kFanCurved) {
      position = arctan(across, depth);
      factor = weight / (across * across + depth * depth);
    }
    double column = detector.centre + detector.scale * position;
    column = column > 0.0 ? column : 0.0;
    column = column < detector.last ? column : detector.last;
    const auto whole = static_cast<std::int32_t>(column);
    const double high = (column - whole) * factor;
    samples->column[i] = whole;
    samples->low[i] = static_cast<float>(factor - high);
    samples->high[i] = static_cast<float>(high);
  }
}

TRIPTYCH_ALWAYS_INLINE void sample_pixels_body(const Detector& detector,
                                               const RowOfPixels& pixels,
                                               double weight,
                                               DetectorSamples* samples) {
  switch (detector.beam) {
    case ScanGeometry::Beam::kParallel:
      return sample_beam<ScanGeometry::Beam::kParallel>(detector, pixels, weight, samples);
    case ScanGeometry::Beam::kFanFlat:
      return sample_beam<ScanGeometry::Beam::kFanFlat>(detector, pixels, weight, samples);
    case ScanGeometry::Beam::kFanCurved:
      return sample_beam<ScanGeometry::Beam::kFanCurved>(detector, pixels, weight, samples);
  }
}
TRIPTYCH_VECTOR_KERNEL(
    sample_pixels,
    (const Detector& detector, const RowOfPixels& pixels, double weight, DetectorSamples* samples),
    (detector, pixels, weight, samples))

}  // namespace

Detector detector_of(const ScanGeometry& scan, std::int64_t columns) {
  const bool parallel = scan.beam == ScanGeometry::Beam::kParallel;
  return {scan.beam,
          scan.centre_column + 1.0,
          (parallel ? 1.0 : scan.source_to_detector_mm) / scan.column_spacing_mm,
          static_cast<double>(columns + 1),
          scan.source_to_axis_mm};
}

void sample_row(const Detector& detector,
                const SliceGrid& grid,
                const ScanView& view,
                double row,
                double column,
                double weight,
                DetectorSamples* samples) {
  const double x = (column - grid.centre_column) * grid.column_spacing_mm;
  const double y = (row - grid.centre_row) * grid.row_spacing_mm;
  const RowOfPixels pixels{x * view.cosine() - y * view.sine(),
                           grid.column_spacing_mm * view.cosine(),
                           detector.source_to_axis_mm + x * view.sine() + y * view.cosine(),
                           grid.column_spacing_mm * view.sine()};
  sample_pixels(detector, pixels, weight, samples);
}

}  // namespace triptych
