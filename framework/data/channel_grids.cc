// SPDX-License-Identifier: Apache-2.0
#include "framework/data/channel_grids.h"

#include "framework/core/error.h"
#include "framework/data/intensity.h"

#include <algorithm>

namespace triptych {

at::Tensor mapped_channels(
    const Entry& entry, const std::function<void(ScalarGrid& grid, std::int64_t channel)>& change) {
  ScalarGrid grid;
  grid.geometry.shape = entry.geometry.shape;
  grid.geometry.spacing = entry.geometry.spacing;
  const std::int64_t voxels = grid.geometry.voxels();
  return mapped_values(entry.data, [&](float* values, std::int64_t count) {
    for (std::int64_t channel = 0; channel < count / voxels; ++channel) {
      float* first = values + channel * voxels;
      grid.values.assign(first, first + voxels);
      change(grid, channel);
      TRIPTYCH_ASSERT(grid.values.size() == static_cast<std::size_t>(voxels));
      std::copy(grid.values.begin(), grid.values.end(), first);
    }
  });
}

}  // namespace triptych
