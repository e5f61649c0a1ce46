// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/data/scan_config.h"
#include "framework/image/raw_scan.h"
#include "framework/ops/projector.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

namespace triptych {

/// Transmissions to look at twice, over everything that was prepared.
struct RepairTally {
  std::int64_t values = 0;        ///< transmissions in all
  std::int64_t interpolated = 0;  ///< of those without a logarithm, in short runs
  std::int64_t clamped = 0;       ///< of those without a logarithm, in longer runs
  std::int64_t brighter = 0;      ///< a fifth and more above the flats
};

/// Where the pieces of a raw scan lie; "" = with the projections, or none.
struct ScanFiles {
  std::string projections, flats, darks;
};

/// A raw scan as sinograms ready to reconstruct: flats and darks, or air; phase retrieval; -ln;
/// stripes; cropped and extended columns; and the geometry that belongs to them.
class PreparedScan {
 public:
  /// Opens the scan and finds its geometry, the rotation axis included.
  PreparedScan(const ScanConfig& config, const ScanFiles& files);

  /// Of the projections that `sinograms` gives; lengths in detector pixels where the pixel size is
  /// unknown.
  const ScanGeometry& geometry() const { return geometry_; }
  std::optional<double> pixel_size_mm() const { return pixel_size_mm_; }
  std::int64_t first_row() const { return first_row_; }
  std::int64_t rows() const { return rows_; }        ///< chosen by the configuration
  std::int64_t columns() const { return columns_; }  ///< without `pad`
  std::int64_t bytes_per_row() const;  ///< of memory that preparing a row takes at its peak
  /// Sinograms [rows, A, columns + 2 pad] of the chosen rows [first, first + count).
  at::Tensor sinograms(std::int64_t first, std::int64_t count);
  /// The pixels of the slices, and where all of them lie: the rotation axis runs through x = y = 0,
  /// and detector row 0 at z = 0. Pixels count as 1 mm where their size is unknown.
  SliceGrid grid() const;
  Geometry slices_geometry() const;
  const RepairTally& repaired() const { return repaired_; }

 private:
  void choose_part();
  std::vector<double> angles() const;
  /// The chosen views of frames [A, ...].
  at::Tensor chosen_views(const at::Tensor& frames) const;
  std::int64_t views() const { return static_cast<std::int64_t>(views_.size()); }
  void find_centre();
  at::Tensor transmission(std::int64_t first_row, std::int64_t rows);
  at::Tensor line_integrals_of(std::int64_t first, std::int64_t count, RepairTally& tally);
  bool retrieves_phase() const { return config_.phase.delta_beta > 0.0; }

  const ScanConfig config_;
  std::unique_ptr<RawScan> scan_;
  ScanGeometry geometry_;
  std::optional<double> pixel_size_mm_;
  std::vector<std::int64_t> views_;  ///< chosen projections
  std::int64_t first_row_ = 0, rows_ = 0, first_column_ = 0, columns_ = 0;
  RepairTally repaired_;
};

}  // namespace triptych
