// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/config/component.h"
#include "framework/data/sample.h"
#include "framework/image/class_table.h"

#include <string>
#include <vector>

namespace triptych {

/// What is known of an entry before a voxel is read.
struct EntrySpec {
  std::string name;
  EntryKind kind = EntryKind::kIntensity;
  std::string modality;
  std::string frame = "world";
  std::string target_frame;
  std::int64_t channels = 1;
  Geometry geometry;
};

struct SampleSpec {
  std::string id;
  std::vector<EntrySpec> entries;

  const EntrySpec* find(const std::string& name) const;
};

/// A collection of samples that lists what it has and reads regions on demand.
///
/// Contract (tests/contract): listing is cheap and repeatable; `read` is thread-safe, holds no
/// random state, returns equal bits for equal arguments and costs about a region; every entry's
/// geometry is consistent with its data.
class Dataset {
 public:
  static constexpr const char* kKind = "dataset";
  virtual ~Dataset() = default;

  virtual const std::vector<SampleSpec>& samples() const = 0;

  /// Indices into samples() of a split: "train", "validation" or "test". Splits never share a
  /// sample.
  virtual std::vector<std::size_t> split(const std::string& name) const = 0;

  /// Reads `region` (tensor order [D, H, W], inside the entry's grid) of an entry. The result's
  /// geometry is the cropped one. Points ignore the region; projections give the detector rows of
  /// its D axis, see detector_rows. Throws data_error or io_error naming sample and file.
  virtual Entry read(std::size_t sample, const std::string& entry, const Region& region) const = 0;

  /// Classes of the label entries; empty when there are none.
  virtual const ClassTable& classes() const = 0;

  /// Checks every sample (readable, geometry, label values, NaN, constant images) and returns one
  /// line per fault.
  virtual std::vector<std::string> verify() const { return {}; }

  /// Everything of one entry.
  Entry read_all(std::size_t sample, const std::string& entry) const;
  /// The entries of a sample, whole, as a Sample (absent ones are left out).
  Sample read_sample(std::size_t sample, const std::vector<std::string>& entries) const;
};

using DatasetRegistry = config::Registry<Dataset>;

}  // namespace triptych

#define TRIPTYCH_REGISTER_DATASET(name, type) \
  TRIPTYCH_REGISTER_COMPONENT(::triptych::DatasetRegistry, name, type)
