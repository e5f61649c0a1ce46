// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/ops/scan_rays.h"

#include <cstdint>

namespace triptych {

inline constexpr int kPixelRun = 16;

/// Where sixteen neighbouring pixels of a row fall on the detector of one view.
struct DetectorSamples {
  std::int32_t column[kPixelRun];  ///< detector column, 0 = the zero before the first
  float low[kPixelRun];            ///< weight of that column
  float high[kPixelRun];           ///< weight of the next one
};

/// A detector as the samples need it.
struct Detector {
  ScanGeometry::Beam beam;
  double centre;  ///< of the column numbers of DetectorSamples
  double scale;   ///< columns a mm at the axis (parallel), of the tangent, or a radian
  double last;    ///< largest column number
  double source_to_axis_mm;
};
Detector detector_of(const ScanGeometry& scan, std::int64_t columns);

/// The samples of pixels (row, column), (row, column + 1), ...; `weight` multiplies both.
/// Vectorised; the same as ScanView::sample.
void sample_row(const Detector& detector,
                const SliceGrid& grid,
                const ScanView& view,
                double row,
                double column,
                double weight,
                DetectorSamples* samples);

}  // namespace triptych
