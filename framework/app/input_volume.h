// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/data/harmonise.h"
#include "framework/data/volume_store.h"
#include "framework/image/io.h"

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

namespace triptych::app {

/// A volume prepared for the network: harmonised, float32, in a store that may be larger than
/// memory.
struct InputVolume {
  std::unique_ptr<VolumeStore> store;  ///< [C, D, H, W]
  Geometry geometry;                   ///< of the store: the working grid
  Geometry original;                   ///< of the file; outputs are brought back to it
  IntensityMap grey_values = {};       ///< from the file's to those of the store
};

/// Reads `location` slab by slab where its format allows it, so that memory stays within `budget`;
/// grey values and spacing become those that `harmonise` asks for. Resampling needs the volume in
/// memory.
InputVolume read_input(const std::string& location,
                       const ReadOptions& options,
                       const HarmoniseConfig& harmonise,
                       std::int64_t channels,
                       MemoryBudget& budget,
                       const std::filesystem::path& scratch);

/// Slices to read at a time with `memory` bytes for all. A compressed file is inflated from its
/// start for every slab, so slabs of it take a quarter of the memory.
std::int64_t slices_at_once(const VolumeHeader& header, std::int64_t memory);

/// The `harmonise` of a run's data set, where it has one.
std::optional<HarmoniseConfig> stored_harmonise(const config::Node& resolved,
                                                const std::string& dataset);
/// The same, or one that changes nothing.
HarmoniseConfig harmonise_of(const config::Node& resolved, const std::string& dataset);

}  // namespace triptych::app
