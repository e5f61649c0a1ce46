// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/data/sample.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

namespace triptych {

/// One role of a batch: the entries of the items that have it.
struct BatchEntry {
  EntryKind kind = EntryKind::kIntensity;
  at::Tensor data;  ///< [M, C, D, H, W], M <= N items that have this role; undefined for points
  std::vector<at::Tensor> points;   ///< kPoints: one [P_m, 3] float64 tensor (mm, LPS) per item
  std::vector<std::int64_t> items;  ///< [M] which items of the batch; 0..N-1 when none is missing
  std::vector<Geometry> geometry;   ///< [M]
  std::string modality;
  std::string frame;
  std::string target_frame;
  std::vector<std::shared_ptr<const ScanGeometry>> scans;  ///< [M], projections only
  std::optional<Region>
      valid;  ///< part of every grid that holds data, the rest is padding; nothing = all of it

  /// Voxels that hold data, bool [M, 1, D, H, W], for LossContext::mask; undefined when all of them
  /// do.
  at::Tensor mask() const;
};

/// Items of one task, stacked by role. Homogeneous per role (shape, modality, kind), ragged for
/// points.
struct Batch {
  std::map<std::string, BatchEntry> entries;
  std::vector<std::string> ids;  ///< [N] "sample:axis:slice" and the like, for messages

  std::int64_t size() const { return static_cast<std::int64_t>(ids.size()); }
  bool has(const std::string& role) const { return entries.contains(role); }
  /// Throws data_error naming the role, the batch's ids and the roles it has.
  const BatchEntry& at(const std::string& role) const;
  /// Items that have every one of `roles`, ascending.
  std::vector<std::int64_t> items_with(const std::vector<std::string>& roles) const;
  /// The batch of the items `chosen` in that order, numbered anew; a role that none of them has is
  /// absent.
  Batch rows(const std::vector<std::int64_t>& chosen) const;
  Batch to(c10::Device device) const;
};

/// Stacks samples. Throws shape_error naming sample, role and both shapes when items differ,
/// data_error when modalities do.
Batch collate(const std::vector<Sample>& samples);

}  // namespace triptych
