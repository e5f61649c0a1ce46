// SPDX-License-Identifier: Apache-2.0
#include "framework/registration/working_resolution.h"

#include "framework/image/slabs.h"
#include "framework/ops/convex_search.h"

#include <algorithm>

#include <ATen/ATen.h>

namespace triptych {

namespace {

constexpr std::int64_t kSlabVoxels = std::int64_t{1} << 23;
constexpr std::int64_t kFewVoxels = 32;  ///< an axis is not pooled below that

Index3 factors_for(const Geometry& grid, double spacing_mm) {
  Index3 factors{1, 1, 1};
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const double own = grid.spacing[static_cast<Eigen::Index>(2 - axis)];
    const std::int64_t most = std::max<std::int64_t>(1, grid.shape[axis] / kFewVoxels);
    factors[axis] =
        std::clamp<std::int64_t>(static_cast<std::int64_t>(spacing_mm / own + 1e-6), 1, most);
  }
  return factors;
}

}  // namespace

Index3 pooling_factors(const Geometry& grid, std::int64_t most_voxels) {
  constexpr double kStep = 1.05;
  const double coarsest_mm = grid.spacing.maxCoeff() * static_cast<double>(grid.voxels());
  double spacing_mm = grid.spacing.minCoeff();
  Index3 factors{1, 1, 1};
  while (pooled_grid(grid, factors).voxels() > most_voxels && spacing_mm < coarsest_mm) {
    spacing_mm *= kStep;
    factors = factors_for(grid, spacing_mm);
  }
  return factors;
}

Volume pooled(const VolumeSource& image, const Index3& factors) {
  const Geometry grid = pooled_grid(image.geometry, factors);
  Volume result{
      at::empty({image.channels, grid.shape[0], grid.shape[1], grid.shape[2]}, at::kFloat),
      grid,
      "",
      {}};
  const std::int64_t slice_voxels = image.geometry.shape[1] * image.geometry.shape[2] * factors[0];
  const Index3 covered{
      grid.shape[0] * factors[0], grid.shape[1] * factors[1], grid.shape[2] * factors[2]};
  for (const Region& slab :
       slabs_of_slices(grid.shape, std::max<std::int64_t>(1, kSlabVoxels / slice_voxels))) {
    const Region source{{slab.start[0] * factors[0], 0, 0},
                        {slab.size[0] * factors[0], covered[1], covered[2]}};
    for (std::int64_t channel = 0; channel < image.channels; ++channel) {
      const at::Tensor blocks =
          image.read(channel, source)
              .to(at::kFloat)
              .reshape(
                  {slab.size[0], factors[0], grid.shape[1], factors[1], grid.shape[2], factors[2]});
      result.data[channel].narrow(0, slab.start[0], slab.size[0]).copy_(blocks.mean({1, 3, 5}));
    }
  }
  return result;
}

}  // namespace triptych
