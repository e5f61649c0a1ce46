// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/ops/packed_slices.h"
#include "framework/ops/scan_rays.h"

#include <cstdint>
#include <vector>

namespace triptych {

/// Consecutive samples of a ray: positions in fixed point, strides and offset in floats of the
/// image.
struct RaySamples {
  std::int64_t position, step, count;
  std::int64_t offset;  ///< of position 0 at the first sample from the image's first pixel
  std::int64_t sample_stride, position_stride;
  float length_cm;
};

/// Joseph's projector on packed slices, and its adjoint.
///
/// Positions are kept in 64-bit fixed point with 32 bits after the point, so that both directions,
/// every tile and every number of threads see the same samples and weights.
class JosephKernel {
 public:
  JosephKernel(const ScanGeometry& scan, const SliceGrid& grid, std::int64_t detector_columns);
  JosephKernel(const JosephKernel&) = delete;  // views refer to the members beside them
  JosephKernel& operator=(const JosephKernel&) = delete;

  /// projections (rows = angles) += A image.
  void project(const PackedSlices& image, PackedSlices& projections) const;
  /// image += A' projections.
  void back_project(const PackedSlices& projections, PackedSlices& image) const;

 private:
  struct FixedRay {
    std::int64_t start, step;
    float length_cm;
    bool along_rows;
  };
  /// Samples `first` <= i < `last` of rays, at positions `low` <= floor(position) < `high`.
  struct Tile {
    bool along_rows;
    std::int64_t first, last, low, high;
  };
  /// Calls `visit(column, samples)` on the rays of one angle that have samples in the tile.
  template <class Visit>
  void visit_rays(const Tile& tile,
                  std::int64_t angle,
                  const PackedSlices& image,
                  Visit visit) const;
  static RaySamples samples_in(const FixedRay& ray, const Tile& tile, const PackedSlices& image);
  /// Calls `body(tile)` on the tiles of one band of samples.
  template <class Body>
  void visit_band(bool along_rows, std::int64_t band, std::int64_t lanes, Body body) const;
  std::int64_t angles() const { return static_cast<std::int64_t>(views_.size()); }
  std::int64_t samples(bool along_rows) const { return along_rows ? grid_.rows : grid_.columns; }
  std::int64_t bands(bool along_rows) const;

  SliceGrid grid_;
  ScanGeometry scan_;
  std::int64_t columns_;
  std::vector<ScanView> views_;
  std::vector<FixedRay> rays_;  ///< [angles, columns]
};

}  // namespace triptych
