// SPDX-License-Identifier: Apache-2.0
#include "framework/registration/instance_optimisation.h"

#include "framework/core/parallel.h"
#include "framework/ops/mind.h"
#include "framework/ops/warp.h"

#include "tests/ops/displacement_fields.h"
#include "tests/support/tensor_matchers.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {

/// MIND of a texture and of the same displaced, and the displacement in voxels.
struct Problem {
  Geometry grid;
  FeaturePair pair;
  at::Tensor truth, start;
};

Problem displaced_texture(const Index3& shape) {
  Problem problem;
  problem.grid.shape = shape;
  const at::Tensor moving = at::upsample_trilinear3d(
      at::randn({1, 1, (shape[0] + 2) / 3, shape[1] / 3, shape[2] / 3}), shape, true);
  problem.truth = testing::gaussian_push(problem.grid, 1.5, 6.0).to(at::kFloat);
  const at::Tensor fixed =
      warp_voxels(moving, problem.truth, {WarpInterpolation::kLinear, WarpPadding::kEdge});
  problem.pair.fixed = mind_ssc(fixed, {1, 1});
  problem.pair.moving = mind_ssc(moving, {1, 1});
  problem.start = at::zeros_like(problem.truth);
  return problem;
}

double mean_length(const at::Tensor& field) {
  return field.square().sum(1).sqrt().mean().item<double>();
}

TEST(InstanceOptimisation, KernelAndOperatorsGoTheSameWay) {
  Problem problem = displaced_texture({12, 14, 18});
  problem.grid.spacing = {0.5, 0.5, 1.0};
  problem.pair.fixed_weight = (at::rand({1, 1, 12, 14, 18}) > 0.1).to(at::kFloat);
  InstanceOptions options;
  options.iterations = 5;
  options.rate_voxel = 0.02;
  problem.start.fill_(0.3F);  // off the voxel centres, where the interpolant has kinks
  const at::Tensor kernel =
      optimise_displacement(problem.pair, problem.start, problem.grid, options);
  const FeaturePair wide{problem.pair.fixed.to(at::kDouble),
                         problem.pair.moving.to(at::kDouble),
                         problem.pair.fixed_weight.to(at::kDouble),
                         {}};
  const at::Tensor operators =
      optimise_displacement(wide, problem.start.to(at::kDouble), problem.grid, options);
  EXPECT_GT(mean_length(kernel - problem.start), 0.02);
  EXPECT_TRUE(testing::near(kernel, operators, 1e-3));
}

TEST(InstanceOptimisation, FindsASmoothDisplacement) {
  const Problem problem = displaced_texture({24, 27, 30});
  InstanceOptions options;
  options.rate_voxel = 0.3;
  const at::Tensor found =
      optimise_displacement(problem.pair, problem.start, problem.grid, options);
  EXPECT_LT(mean_length(found - problem.truth), 0.4 * mean_length(problem.truth));
}

TEST(InstanceOptimisation, HasTheSameBitsForEveryNumberOfThreads) {
  const Problem problem = displaced_texture({12, 14, 18});
  InstanceOptions options;
  options.iterations = 6;
  const at::Tensor one = optimise_displacement(problem.pair, problem.start, problem.grid, options);
  set_num_threads(5);
  EXPECT_TRUE(
      at::equal(optimise_displacement(problem.pair, problem.start, problem.grid, options), one));
}

TEST(InstanceOptimisation, ReportsItsIterations) {
  const Problem problem = displaced_texture({6, 7, 9});
  InstanceOptions options;
  options.iterations = 3;
  std::int64_t heard = 0;
  optimise_displacement(problem.pair, problem.start, problem.grid, options, [&](std::int64_t done) {
    EXPECT_EQ(done, ++heard);
  });
  EXPECT_EQ(heard, 3);
}

}  // namespace
}  // namespace triptych
