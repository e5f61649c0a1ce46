// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/image/geometry.h"

#include <cstdint>
#include <functional>
#include <span>

namespace triptych {

/// What the passes over a volume add their predictions to. A voxel's index is (d * H + h) * W + w.
class VolumeAccumulator {
 public:
  virtual ~VolumeAccumulator() = default;
  virtual const Index3& shape() const = 0;
  virtual std::int64_t channels() const = 0;

  /// Opens one more prediction of the volume (a plane set, or all blocks).
  virtual void begin_prediction() = 0;
  /// Adds predictions `values` [n, C], one for each of n voxels. Threads may call it at once for
  /// different voxels.
  virtual void add(std::span<const std::int64_t> voxels, const float* values) = 0;
  /// Adds channel `channel` of neighbouring voxels from `first` on: values times row_weight times
  /// weights. Threads may call it at once for different rows and channels.
  virtual void add_weighted(std::int64_t channel,
                            std::int64_t first,
                            std::span<const float> values,
                            float row_weight,
                            const float* weights) = 0;
  /// Ends a prediction whose weights summed to one at every voxel.
  virtual void end_weighted() = 0;
  /// Lets mapped pages go.
  virtual void release_pages() const = 0;
};

/// Calls body(begin, end) over voxels on all threads, block by block, and `release` after each
/// block of a few million.
void for_voxel_blocks(std::int64_t voxels,
                      const std::function<void(std::int64_t begin, std::int64_t end)>& body,
                      const std::function<void()>& release);

}  // namespace triptych
