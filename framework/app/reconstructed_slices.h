// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/app/learned_reconstruction.h"
#include "framework/app/reconstruct_config.h"
#include "framework/core/progress.h"
#include "framework/data/scan_preparation.h"
#include "framework/image/volume.h"

#include <map>
#include <memory>
#include <optional>
#include <utility>

#include <ATen/core/Tensor.h>

namespace triptych::app {

/// Slices of a scan, made a block of rows at a time as they are asked for in order.
class ReconstructedSlices {
 public:
  /// Throws geometry_error when the mask of the metal has not the size of the slices, usage_error
  /// when a trained head needs one that is not given.
  ReconstructedSlices(const ReconstructConfig& config, PreparedScan& scan);

  const SliceGrid& grid() const { return grid_; }
  /// Voxels [d, h, w] in 1/cm, or in 1/pixel where the pixel size is unknown.
  at::Tensor read(const Region& region);
  /// Some of the slices that were read, evenly spread over the volume, to be measured.
  Volume spread_slices() const;
  /// Whether the method takes the mask of the metal into account.
  bool reads_metal() const;
  /// Whether the mask had metal in the slices that were read.
  bool found_metal() const { return found_metal_; }

 private:
  void keep_spread(std::int64_t first, const at::Tensor& slices);
  std::int64_t rows_in(std::int64_t memory) const;
  /// The block that holds a row, made now if it is not there; blocks begin at multiples of their
  /// size.
  const std::pair<const std::int64_t, at::Tensor>& block_with(std::int64_t row);
  at::Tensor reconstructed(std::int64_t first, std::int64_t count);
  /// [count, H, W]: 1 where there is metal, else 0. Throws data_error for a mask that has values
  /// that are not finite, or more metal than anything else.
  at::Tensor metal_mask(std::int64_t first, std::int64_t count);
  /// The projections with what config_.metal makes of those behind metal.
  at::Tensor completed(const at::Tensor& sinograms, std::int64_t first);
  at::Tensor iterated(const at::Tensor& sinograms, std::int64_t first);

  const ReconstructConfig& config_;
  PreparedScan& scan_;
  SliceGrid grid_;
  std::optional<LearnedReconstruction> learned_;
  std::int64_t block_rows_;
  bool found_metal_ = false;
  Progress progress_;
  std::map<std::int64_t, at::Tensor> blocks_;  ///< by first row
  std::map<std::int64_t, at::Tensor> spread_;  ///< by row
};

}  // namespace triptych::app
