// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/velocity.h"

#include "tests/ops/displacement_fields.h"
#include "tests/support/tensor_matchers.h"

#include <cmath>

#include <Eigen/Dense>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unsupported/Eigen/MatrixFunctions>

namespace triptych {
namespace {

using testing::error_message;
using testing::field_of;
using testing::gaussian_push;
using ::testing::HasSubstr;
using testing::middle_of;
using testing::near;
using testing::oblique_grid;

/// Spacing 0.5 mm: linear interpolation of a push with amplitude A and deviation s is off by up to
/// 0.5^2 / 8 * A / s^2.
Geometry fine_grid(const Index3& shape) {
  Geometry grid = oblique_grid(shape);
  grid.spacing.setConstant(0.5);
  return grid;
}

/// Without the voxels that displacements of the edge reach.
at::Tensor inner_part(const at::Tensor& field, std::int64_t margin) {
  at::Tensor result = field;
  for (std::int64_t axis = 2; axis < 5; ++axis)
    result = result.narrow(axis, margin, field.size(axis) - 2 * margin);
  return result;
}

TEST(ScalingAndSquaring, OfALinearVelocityIsTheMatrixExponential) {
  const Geometry grid = oblique_grid({15, 17, 19});
  const Eigen::Vector3d middle = middle_of(grid);
  Eigen::Matrix3d a;
  a << 0.05, -0.2, 0.03, 0.18, -0.04, 0.06, -0.02, 0.05, 0.03;
  const Eigen::Matrix3d exponential = a.exp();
  const at::Tensor velocity =
      field_of(grid, [&](const Eigen::Vector3d& x) { return Eigen::Vector3d(a * (x - middle)); });
  const at::Tensor expected = field_of(grid, [&](const Eigen::Vector3d& x) {
    return Eigen::Vector3d((exponential - Eigen::Matrix3d::Identity()) * (x - middle));
  });
  // Squaring starts from I + A / 2^n, whose power differs from e^A by about |A|^2 / 2^(n + 1).
  const at::Tensor u = integrate_velocity(velocity, grid, 12);
  EXPECT_TRUE(near(inner_part(u, 5), inner_part(expected, 5), 5e-5));
  EXPECT_TRUE(near(integrate_velocity(velocity.to(at::kFloat), grid, 7), u, 2e-3));
}

TEST(ScalingAndSquaring, TheNegatedVelocityGivesTheInverse) {
  const Geometry grid = fine_grid({28, 30, 32});
  const at::Tensor velocity = gaussian_push(grid, 1.8, 2.0).to(at::kFloat);
  const at::Tensor forward = integrate_velocity(velocity, grid);
  const at::Tensor backward = integrate_velocity(-velocity, grid);
  const ConsistencyError error = consistency_error(forward, backward, grid, 4);
  EXPECT_GT(forward.abs().max().item<double>(), 1.2);
  EXPECT_LT(error.mean_mm, 0.01);
  EXPECT_LT(error.largest_mm, 0.06);
  // Without the inverse the distance is of the order of the displacement.
  EXPECT_GT(consistency_error(forward, -forward, grid).largest_mm, 0.3);
}

TEST(ScalingAndSquaring, PassesGradients) {
  const Geometry grid = oblique_grid({6, 7, 8});
  const at::Tensor v0 = gaussian_push(grid, 0.8, 1.5);
  const at::Tensor direction = at::randn_like(v0), weights = at::randn_like(v0);
  const at::Tensor v = v0.to(at::kFloat).set_requires_grad(true);
  (integrate_velocity(v, grid, 4) * weights).sum().backward();
  const double h = 1e-5;
  const at::Tensor difference = ((integrate_velocity(v0 + h * direction, grid, 4) -
                                  integrate_velocity(v0 - h * direction, grid, 4)) *
                                 weights)
                                    .sum() /
                                (2.0 * h);
  EXPECT_TRUE(near((v.grad() * direction).sum(), difference, 2e-2, 2e-3));
}

TEST(ComposeDisplacements, AppliesTheInnerOneFirst) {
  const Geometry grid = oblique_grid({16, 16, 16});
  const Eigen::Vector3d middle = middle_of(grid);
  const Eigen::Matrix3d r = Eigen::AngleAxisd(0.2, Eigen::Vector3d::UnitX()).matrix();
  const Eigen::Matrix3d s = Eigen::AngleAxisd(-0.3, Eigen::Vector3d::UnitZ()).matrix();
  const auto turn = [&](const Eigen::Matrix3d& m) {
    return field_of(grid, [&, m](const Eigen::Vector3d& x) {
      return Eigen::Vector3d(m * (x - middle) + middle - x);
    });
  };
  const at::Tensor composed = compose_displacements(turn(r), grid, turn(s), grid);
  EXPECT_TRUE(near(inner_part(composed, 4), inner_part(turn(r * s), 4), 1e-9));
}

TEST(InvertDisplacement, InvertsAnAffineMapAndASmoothPush) {
  const Geometry grid = fine_grid({24, 24, 24});
  const Eigen::Vector3d middle = middle_of(grid);
  Eigen::Matrix3d a = Eigen::Matrix3d::Identity();
  a(0, 1) = 0.1;
  a(2, 2) = 1.1;
  const auto linear = [&](const Eigen::Matrix3d& m) {
    return field_of(grid, [&, m](const Eigen::Vector3d& x) {
      return Eigen::Vector3d(m * (x - middle) + middle - x);
    });
  };
  const at::Tensor inverse = invert_displacement(linear(a), grid, {100, 1e-9});
  EXPECT_TRUE(near(inner_part(inverse, 5), inner_part(linear(a.inverse()), 5), 1e-7));
  const at::Tensor push = gaussian_push(grid, 0.8, 2.5).to(at::kFloat);
  const at::Tensor back = invert_displacement(push, grid);
  // Of the continuous map the field holds samples: what is left is interpolation.
  EXPECT_LT(consistency_error(back, push, grid, 4).largest_mm, 2e-3);
  EXPECT_LT(consistency_error(push, back, grid, 4).largest_mm, 0.03);
}

TEST(InvertDisplacement, SaysWhenAMapFolds) {
  const Geometry grid = oblique_grid({12, 12, 12});
  EXPECT_THAT(
      error_message("numeric", [&] { invert_displacement(gaussian_push(grid, 9.0, 0.7), grid); }),
      HasSubstr("expected a map without folds"));
}

TEST(MakeConsistent, DrawsTwoFieldsTowardsInverses) {
  const Geometry grid = fine_grid({24, 26, 28});
  const at::Tensor forward = gaussian_push(grid, 1.0, 2.0).to(at::kFloat);
  const at::Tensor backward = gaussian_push(grid, -0.6, 2.2).to(at::kFloat);
  const auto [a, b] = make_consistent(forward, backward, grid);
  const double before = consistency_error(forward, backward, grid).mean_mm;
  EXPECT_LT(consistency_error(a, b, grid).mean_mm, 0.1 * before);
  EXPECT_GT(a.abs().max().item<double>(), 0.5);
}

}  // namespace
}  // namespace triptych
