// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/data/dataset.h"
#include "framework/data/file_facts.h"
#include "framework/data/harmonise.h"
#include "framework/image/io.h"

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace triptych {

/// Grey values of label files -> class indices. Values to ignore map to -1.
using LabelIndices = std::map<std::int64_t, std::int64_t>;

/// What the files of one entry have in common.
struct FileEntryConfig {
  std::string name;
  EntryKind kind = EntryKind::kIntensity;
  std::string modality;
  std::string frame = "world";
  std::string target_frame;
  ReadOptions read;
  HarmoniseConfig harmonise;
  LabelIndices labels;
};

/// One entry of one sample in a file: intensities (float32, harmonised), labels (class indices),
/// vectors, or points from a table with columns x, y, z (or x_lps_mm, y_lps_mm, z_lps_mm).
///
/// The header is read at construction; voxels when asked for, and only a region where the format
/// can. Thread-safe.
class FileEntry {
 public:
  FileEntry(std::string sample,
            std::string location,
            std::shared_ptr<const FileEntryConfig> config,
            std::shared_ptr<FileFacts> facts);

  const EntrySpec& spec() const { return spec_; }
  EntrySpec& spec() { return spec_; }
  const std::string& location() const { return location_; }
  /// Why the header could not be read, "" when it was.
  const std::string& header_fault() const { return header_fault_; }
  bool reads_regions() const { return reads_regions_; }

  Entry read(const Region& region) const;
  /// Reads everything that was not read before and returns what is wrong with it, one line per
  /// fault.
  std::vector<std::string> verify() const;

 private:
  void read_spec();
  Entry read_points() const;
  at::Tensor read_stored(const Region& region) const;
  Entry read_resampled(const Region& region) const;
  at::Tensor to_indices(const at::Tensor& values) const;
  IntensityStatistics statistics() const;
  std::map<std::int64_t, std::int64_t> label_counts() const;
  void for_each_block(const std::function<void(const at::Tensor&)>& block) const;
  const IntensityMap& intensity_map() const;

  std::string sample_;
  std::string location_;
  std::shared_ptr<const FileEntryConfig> config_;
  std::shared_ptr<FileFacts> facts_;
  EntrySpec spec_;
  Geometry stored_;  ///< grid of the file; spec_.geometry is the one after resampling
  bool reads_regions_ = false;
  std::string header_fault_;
  mutable std::once_flag map_fitted_;
  mutable IntensityMap map_;
};

}  // namespace triptych
