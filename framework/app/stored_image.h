// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/data/volume_store.h"
#include "framework/image/io.h"

#include <filesystem>
#include <memory>
#include <string>

namespace triptych::app {

/// Throws data_error for values of `location` that are NaN or infinite.
void check_finite(const at::Tensor& values, const std::string& location);

/// Where images are kept that may be larger than memory.
struct ImageKeeping {
  MemoryBudget& budget;
  std::filesystem::path scratch;
};

/// The folder that a key `scratch` names; empty is the system's.
std::filesystem::path scratch_folder(const std::string& key);

/// An image in its file's type, in memory or in a scratch file.
struct StoredImage {
  std::string location;
  VolumeHeader header;
  std::unique_ptr<VolumeStore> store;
  double lowest = 0.0;
  double highest = 0.0;

  const Geometry& geometry() const { return header.geometry; }
  /// Its voxels; refers to the store.
  VolumeSource source() const;
};

/// Reads an image slab by slab. Throws data_error for NaN and infinity.
StoredImage store_image(const std::string& location,
                        const ReadOptions& options,
                        const ImageKeeping& keeping);

/// The same of a label map: one channel of whole numbers from 0. Throws data_error for what is
/// none.
StoredImage store_labels(const std::string& location,
                         const ReadOptions& options,
                         const ImageKeeping& keeping);

}  // namespace triptych::app
