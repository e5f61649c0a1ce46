// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

namespace triptych {

/// One level of a pyramid as known before the first forward.
struct LevelSpec {
  std::int64_t channels = 0;
  std::array<std::int64_t, 3> stride{1, 1, 1};  ///< input voxels per feature voxel along D, H, W
};

/// Levels from fine to coarse: level 0 is the decoder's output at full resolution, the last is the
/// bottleneck.
struct PyramidSpec {
  std::vector<LevelSpec> levels;

  std::int64_t size() const { return static_cast<std::int64_t>(levels.size()); }
  /// Throws model_error naming the levels there are.
  const LevelSpec& level(std::int64_t index) const;
};

/// Features of one image: level i is [N, levels[i].channels, D / stride, H / stride, W / stride].
struct FeaturePyramid {
  std::vector<at::Tensor> levels;

  const at::Tensor& level(std::int64_t index) const;
};

}  // namespace triptych
