// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/synthetic_deformation.h"

#include <ATen/ATen.h>
#include <Eigen/LU>
#include <gtest/gtest.h>

namespace triptych {
namespace {

SmoothRigidDeformation typical() {
  return {deformation_parameters(MotionOptions{}, 1.0), RandomStream(11)};
}

TEST(SyntheticDeformation, InverseLeadsBack) {
  const SmoothRigidDeformation motion = typical();
  RandomStream draw(2);
  for (int i = 0; i < 200; ++i) {
    const Eigen::Vector3d x(
        draw.uniform(-0.5, 0.5), draw.uniform(-0.5, 0.5), draw.uniform(-0.5, 0.5));
    const Eigen::Vector3d y = motion.map(x);
    EXPECT_LT((motion.inverse(y, y) - x).norm(), 1e-4);
  }
}

TEST(SyntheticDeformation, NeverFolds) {
  const SmoothRigidDeformation motion = typical();
  RandomStream draw(3);
  constexpr double kStep = 1e-2;
  for (int i = 0; i < 500; ++i) {
    const Eigen::Vector3d x(
        draw.uniform(-0.5, 0.5), draw.uniform(-0.5, 0.5), draw.uniform(-0.5, 0.5));
    Eigen::Matrix3d jacobian;
    for (int axis = 0; axis < 3; ++axis) {
      const Eigen::Vector3d h = kStep * Eigen::Vector3d::Unit(axis);
      jacobian.col(axis) = (motion.map(x + h) - motion.map(x - h)) / (2.0 * kStep);
    }
    EXPECT_GT(jacobian.determinant(), 0.5);
    EXPECT_LT(jacobian.determinant(), 1.6);
  }
}

TEST(SyntheticDeformation, WithoutSmoothPartIsRigid) {
  DeformationParameters parameters;
  parameters.smooth_mm = 0.0;
  const SmoothRigidDeformation motion(parameters, RandomStream(1));
  const Eigen::Vector3d a(0.1, 0.2, -0.3);
  const Eigen::Vector3d b(-0.4, 0.3, 0.2);
  EXPECT_NEAR((motion.map(a) - motion.map(b)).norm(), (a - b).norm(), 1e-12);
  EXPECT_GT(motion.displacement(a).norm(), 0.0);
}

TEST(SyntheticDeformation, FieldHoldsTheDisplacementOfEveryVoxelCentre) {
  const SmoothRigidDeformation motion = typical();
  Geometry grid;
  grid.shape = {3, 4, 5};
  grid.spacing = {0.1, 0.2, 0.3};
  grid.origin = {-0.2, 0.1, 0.0};
  const at::Tensor field = displacement_field(motion, grid);
  ASSERT_EQ(field.sizes(), (std::vector<std::int64_t>{3, 3, 4, 5}));
  const Eigen::Vector3d expected = motion.displacement(grid.world_from_index({4, 2, 1}));
  for (int c = 0; c < 3; ++c) EXPECT_NEAR(field[c][1][2][4].item<float>(), expected[c], 1e-6);
}

}  // namespace
}  // namespace triptych
