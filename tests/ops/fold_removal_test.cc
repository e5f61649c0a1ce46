// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/fold_removal.h"

#include "framework/core/parallel.h"
#include "framework/ops/jacobian.h"

#include "tests/ops/displacement_fields.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {

Geometry unit_grid(const Index3& shape) {
  Geometry grid;
  grid.shape = shape;
  return grid;
}

/// Smooth, with a push of 6 voxels over a deviation of 2 that folds in front of the middle.
at::Tensor folding_push(const Geometry& grid) {
  return testing::gaussian_push(grid, 6.0, 2.0).to(at::kFloat).contiguous();
}

std::int64_t folds(const at::Tensor& field, const Geometry& grid) {
  return (jacobian_determinant(field, grid) <= 0.0).sum().item<std::int64_t>();
}

TEST(FoldRemoval, LeavesNoFoldAndKeepsTheRest) {
  for (const Index3& shape : {Index3{24, 25, 40}, Index3{1, 25, 40}}) {
    const Geometry grid = unit_grid(shape);
    at::Tensor field = folding_push(grid);
    if (shape[0] == 1) field.select(1, 2).zero_();
    const at::Tensor before = field.clone();
    ASSERT_GT(folds(field, grid), 0);
    EXPECT_EQ(remove_folds(field), 0);
    EXPECT_GE(jacobian_determinant(field, grid).min().item<float>(), 0.049F);
    const at::Tensor far_before = before.narrow(4, 0, 6), far_after = field.narrow(4, 0, 6);
    EXPECT_TRUE(at::equal(far_before, far_after));
  }
}

TEST(FoldRemoval, DoesNothingToARegularField) {
  const Geometry grid = unit_grid({9, 10, 11});
  at::Tensor field = testing::gaussian_push(grid, 1.0, 3.0).to(at::kFloat).contiguous();
  const at::Tensor before = field.clone();
  EXPECT_EQ(remove_folds(field), 0);
  EXPECT_TRUE(at::equal(field, before));
}

TEST(FoldRemoval, HasTheSameBitsForEveryNumberOfThreads) {
  const Geometry grid = unit_grid({24, 25, 40});
  at::Tensor one = folding_push(grid), five = one.clone();
  remove_folds(one);
  set_num_threads(5);
  remove_folds(five);
  EXPECT_TRUE(at::equal(one, five));
}

TEST(FoldRemoval, SmoothsAFieldThatFoldsEverywhere) {
  const Geometry grid = unit_grid({32, 33, 34});
  at::manual_seed(2);
  at::Tensor field = (4.0 * at::randn({1, 3, 32, 33, 34})).contiguous();
  const std::int64_t before = folds(field, grid);
  ASSERT_GT(before, 32 * 33 * 34 / 4);
  EXPECT_EQ(remove_folds(field), 0);
}

TEST(FoldRemoval, StopsAfterItsRounds) {
  const Geometry grid = unit_grid({24, 25, 40});
  at::Tensor field = folding_push(grid);
  FoldRemovalOptions options;
  options.rounds = 0;
  EXPECT_GT(remove_folds(field, options), 0);
}

}  // namespace
}  // namespace triptych
