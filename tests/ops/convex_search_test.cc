// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/convex_search.h"

#include "framework/core/parallel.h"
#include "framework/ops/cost_volume.h"
#include "framework/ops/mind.h"
#include "framework/ops/warp.h"

#include "tests/ops/displacement_fields.h"
#include "tests/support/tensor_matchers.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {

using testing::gaussian_push;
using testing::near;

const Index3 kHalf{1, 0, 2};  ///< K = 3 * 1 * 5

TEST(CostVolume, KernelEqualsOperatorsInValueAndGradients) {
  const at::Tensor fixed = at::randn({2, 3, 4, 5, 19}), moving = at::randn({2, 3, 4, 5, 19});
  const at::Tensor weights = at::randn({2, 15, 4, 5, 19});
  const at::Tensor f = fixed.clone().set_requires_grad(true);
  const at::Tensor m = moving.clone().set_requires_grad(true);
  const at::Tensor f2 = fixed.to(at::kDouble).set_requires_grad(true);
  const at::Tensor m2 = moving.to(at::kDouble).set_requires_grad(true);
  const at::Tensor a = cost_volume(f, m, kHalf), b = cost_volume(f2, m2, kHalf);
  EXPECT_TRUE(near(a, b, 1e-4));
  (a * weights).sum().backward();
  (b * weights).sum().backward();
  EXPECT_TRUE(near(f.grad(), f2.grad(), 1e-3));
  EXPECT_TRUE(near(m.grad(), m2.grad(), 1e-3));
  EXPECT_TRUE(near(cost_slices(fixed[1], moving[1], kHalf, 1, 3), b[1].narrow(1, 1, 2), 1e-4));
}

TEST(CostVolume, IsSmallestAtTheDisplacementBetweenTheImages) {
  const at::Tensor moving = at::randn({1, 2, 6, 7, 20});
  at::Tensor fixed = at::zeros_like(moving);  // fixed(x) = moving(x + (2, 0, -1))
  fixed.narrow(2, 1, 5).narrow(4, 0, 18).copy_(moving.narrow(2, 0, 5).narrow(4, 2, 18));
  const at::Tensor costs = cost_volume(fixed, moving, kHalf);
  const std::int64_t k =
      costs[0].select(1, 3).select(1, 3).select(1, 9).argmin().item<std::int64_t>();
  EXPECT_TRUE(near(search_displacements(kHalf)[k], at::tensor({2.0F, 0.0F, -1.0F}), 0.0));
  const at::Tensor soft = soft_argmin(costs, kHalf, 0.01);
  EXPECT_TRUE(
      near(soft[0].select(1, 3).select(1, 3).select(1, 9), at::tensor({2.0F, 0.0F, -1.0F}), 1e-4));
}

TEST(SoftArgmin, IsTheMeanDisplacementOfEqualCostsAndPassesGradients) {
  const at::Tensor costs = at::full({1, 15, 2, 2, 2}, 3.0).set_requires_grad(true);
  const at::Tensor mean = soft_argmin(costs, kHalf);
  EXPECT_TRUE(near(mean, at::zeros({1, 3, 2, 2, 2}), 1e-6));
  mean.select(1, 0).sum().backward();
  // d E[x] / d c_k = -p_k (x_k - E[x]) / temperature.
  EXPECT_NEAR(costs.grad()[0][4][0][0][0].item<double>(), -2.0 / 15.0, 1e-6);
}

/// Smooth random values with structure at the scale of a few voxels.
at::Tensor random_texture(const Index3& shape) {
  const at::Tensor coarse = at::randn({1, 1, shape[0] / 3, shape[1] / 3, shape[2] / 3});
  return at::upsample_trilinear3d(coarse, {shape[0], shape[1], shape[2]}, true);
}

struct Pair {
  Geometry grid;
  at::Tensor fixed, moving, truth;
};

Pair displaced_pair(const Index3& shape) {
  Pair pair;
  pair.grid = testing::oblique_grid(shape);
  pair.grid.spacing = {0.5, 0.5, 0.5};
  pair.moving = random_texture(shape);
  pair.truth = gaussian_push(pair.grid, 3.0, 5.0).to(at::kFloat);
  const at::Tensor warped = warp(pair.moving,
                                 pair.grid,
                                 pair.truth,
                                 pair.grid,
                                 {WarpInterpolation::kLinear, WarpPadding::kEdge});
  pair.fixed = 5.0 - 2.0 * warped;  // another contrast
  return pair;
}

double endpoint_error(const at::Tensor& field, const at::Tensor& truth) {
  const at::Tensor error = (field - truth).square().sum(1).sqrt();
  const auto inner = [](const at::Tensor& x) {
    return x.narrow(1, 6, x.size(1) - 12).narrow(2, 6, x.size(2) - 12).narrow(3, 6, x.size(3) - 12);
  };
  return inner(error).mean().item<double>();
}

TEST(ConvexSearch, FindsASmoothDisplacementAcrossContrasts) {
  const Pair pair = displaced_pair({40, 44, 48});
  const at::Tensor fixed = mind_ssc(pair.fixed), moving = mind_ssc(pair.moving);
  ConvexSearchOptions options;
  options.grid_spacing = 2;  // 1 mm: what is left lies below half a step
  const at::Tensor field = convex_search(fixed, moving, pair.grid, options);
  const double before = endpoint_error(at::zeros_like(field), pair.truth);
  EXPECT_GT(before, 1.0);
  EXPECT_LT(endpoint_error(field, pair.truth), 0.35 * before);
}

TEST(ConvexSearch, IsTheSameInPartsAndWithAnyNumberOfThreads) {
  const Pair pair = displaced_pair({24, 26, 28});
  const at::Tensor fixed = mind_ssc(pair.fixed), moving = mind_ssc(pair.moving);
  ConvexSearchOptions options;
  options.grid_spacing = 3;
  options.half_width = 2;
  const at::Tensor whole = convex_search(fixed, moving, pair.grid, options);
  set_num_threads(5);
  EXPECT_TRUE(at::equal(convex_search(fixed, moving, pair.grid, options), whole));
  options.memory_bytes = 1;  // a slice at a time
  EXPECT_TRUE(at::equal(convex_search(fixed, moving, pair.grid, options), whole));
}

TEST(ConvexSearch, DoesNotLeaveThePlaneOfASlice) {
  Geometry grid;
  grid.shape = {1, 40, 44};
  const at::Tensor moving =
      at::upsample_trilinear3d(at::randn({1, 1, 1, 13, 14}), {1, 40, 44}, true);
  at::Tensor truth = at::zeros({1, 3, 1, 40, 44});
  truth.select(1, 0).fill_(2.0);
  const at::Tensor fixed =
      warp(moving, grid, truth, grid, {WarpInterpolation::kLinear, WarpPadding::kEdge});
  ConvexSearchOptions options;
  options.grid_spacing = 2;
  const at::Tensor field = convex_search(mind_ssc(fixed), mind_ssc(moving), grid, options);
  EXPECT_EQ(field.select(1, 2).abs().max().item<float>(), 0.0F);
  const at::Tensor middle = field.narrow(3, 12, 16).narrow(4, 12, 16);
  EXPECT_NEAR(middle.select(1, 0).mean().item<double>(), 2.0, 0.3);
}

TEST(ConvexSearch, TakesSlabsThinnerThanACell) {
  const Pair pair = displaced_pair({4, 44, 48});
  const at::Tensor field =
      convex_search(mind_ssc(pair.fixed), mind_ssc(pair.moving), pair.grid, {});
  EXPECT_EQ(field.sizes(), pair.truth.sizes());
  EXPECT_TRUE(at::isfinite(field).all().item<bool>());
}

TEST(SearchCell, IsEquallyLongAlongAllAxes) {
  Geometry grid;
  grid.shape = {25, 195, 166};
  grid.spacing = {1.4, 1.4, 4.0};
  EXPECT_EQ(search_cell(grid, 6), (Index3{2, 6, 6}));
  EXPECT_EQ(search_cell(grid, 2), (Index3{1, 2, 2}));
  grid.shape = {1, 195, 4};
  EXPECT_EQ(search_cell(grid, 6), (Index3{1, 6, 4}));
}

TEST(PooledGrid, PutsPointsIntoTheMiddleOfTheirCells) {
  const Geometry grid = testing::oblique_grid({7, 8, 9});
  const Geometry pooled = pooled_grid(grid, {2, 3, 4});
  EXPECT_EQ(pooled.shape, (Index3{3, 2, 2}));
  EXPECT_LT((pooled.world_from_index({1, 1, 1}) - grid.world_from_index({5.5, 4.0, 2.5})).norm(),
            1e-12);
}

}  // namespace
}  // namespace triptych
