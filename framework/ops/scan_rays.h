// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/ops/projector.h"

#include <cstdint>

namespace triptych {

/// A ray's samples in a slice, in pixels: one for each row where it crosses more rows than columns
/// (`along_rows`), else one for each column.
struct Ray {
  bool along_rows = true;
  double start = 0.0;      ///< column (row) of the sample at row (column) 0
  double step = 0.0;       ///< from one row (column) to the next; |step| <= 1
  double length_cm = 0.0;  ///< of the path between two samples
};

/// Where a pixel falls on the detector in one view, and how much its filtered value counts.
struct DetectorSample {
  double column = 0.0;
  double weight = 1.0;  ///< fan_flat: (source to axis / depth)^2; fan_curved: 1 / distance^2 in mm
};

/// The rays of one angle. ScanGeometry states the directions.
class ScanView {
 public:
  ScanView(const ScanGeometry& scan, const SliceGrid& grid, double angle_rad);

  /// The ray to the middle of a detector column.
  Ray ray(double column) const;
  /// The detector column of the ray through a pixel position.
  DetectorSample sample(double row, double column) const;

  double cosine() const { return cosine_; }
  double sine() const { return sine_; }

 private:
  const ScanGeometry* scan_;
  const SliceGrid* grid_;
  double cosine_, sine_;
};

}  // namespace triptych
