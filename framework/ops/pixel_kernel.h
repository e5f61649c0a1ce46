// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/ops/packed_slices.h"
#include "framework/ops/scan_rays.h"

#include <cstdint>
#include <vector>

namespace triptych {

/// Back projection by pixels on packed slices, as filtered back projection needs it, and its
/// adjoint.
///
/// image(pixel) = sum over angles of weight(angle) * DetectorSample.weight * the projection at
/// DetectorSample.column, linearly interpolated and falling to zero within a column beyond the
/// detector's ends.
class PixelKernel {
 public:
  PixelKernel(const ScanGeometry& scan,
              const SliceGrid& grid,
              std::int64_t detector_columns,
              std::vector<double> angle_weights);
  PixelKernel(const PixelKernel&) = delete;  // views refer to the members beside them
  PixelKernel& operator=(const PixelKernel&) = delete;

  /// image += B projections (rows = angles).
  void back_project(const PackedSlices& projections, PackedSlices& image) const;
  /// projections += B' image.
  void project(const PackedSlices& image, PackedSlices& projections) const;

 private:
  struct Tile {
    std::int64_t first_row, last_row, first_column, last_column;
  };
  std::int64_t angles() const { return static_cast<std::int64_t>(views_.size()); }
  /// Calls `body(tile)` on the tiles of a band of rows.
  template <class Body>
  void visit_band(std::int64_t band, std::int64_t lanes, Body body) const;
  void gather_tile(const Tile& tile, const PackedSlices& projections, PackedSlices& image) const;

  ScanGeometry scan_;
  SliceGrid grid_;
  std::int64_t columns_;
  std::vector<double> weights_;
  std::vector<ScanView> views_;
};

}  // namespace triptych
