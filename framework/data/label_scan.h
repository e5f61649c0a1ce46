// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/data/dataset.h"

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace triptych {

/// What class-balanced sampling has to know of one label map. Classes are 1 (the first that is not
/// background) and up.
struct LabelSummary {
  /// Voxels of classes >= 1 in every slice of the three slicing axes.
  std::array<std::vector<std::int64_t>, 3> foreground;
  /// present[axis][slice * classes + c]: whether class c occurs in the slice.
  std::array<std::vector<std::uint8_t>, 3> present;
  /// For every class, positions [D, H, W] of a uniform random subset of its voxels.
  std::vector<std::vector<Index3>> voxels;
};

/// Reads the label entry of `samples` once, in parallel, in blocks of slices. Samples without the
/// entry give empty summaries. `voxels_per_class` bounds the positions kept; which ones depends on
/// `seed` alone. Throws data_error naming the sample when a class index is not in the data set's
/// class table.
std::vector<LabelSummary> scan_labels(const Dataset& dataset,
                                      const std::vector<std::size_t>& samples,
                                      const std::string& label,
                                      std::size_t voxels_per_class,
                                      std::uint64_t seed);

}  // namespace triptych
