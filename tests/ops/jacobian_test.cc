// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/jacobian.h"

#include "tests/ops/displacement_fields.h"
#include "tests/support/tensor_matchers.h"

#include <cmath>

#include <Eigen/Dense>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {

using testing::error_message;
using testing::field_of;
using ::testing::HasSubstr;
using testing::near;
using testing::oblique_grid;

at::Tensor linear_field(const Geometry& grid, const Eigen::Matrix3d& a) {
  return field_of(grid, [&](const Eigen::Vector3d& x) { return Eigen::Vector3d(a * x - x); });
}

TEST(JacobianDeterminant, OfAnAffineMapIsItsDeterminantEverywhere) {
  const Geometry grid = oblique_grid({4, 5, 6});
  Eigen::Matrix3d a;
  a << 1.2, 0.3, -0.1, -0.2, 0.9, 0.4, 0.15, -0.25, 1.1;
  const at::Tensor det = jacobian_determinant(linear_field(grid, a), grid);
  EXPECT_TRUE(near(det, at::full({1, 4, 5, 6}, a.determinant(), at::kDouble), 1e-10));
  const Eigen::Matrix3d turn =
      Eigen::AngleAxisd(1.1, Eigen::Vector3d(1, 1, 2).normalized()).matrix();
  const at::Tensor rigid = jacobian_determinant(linear_field(grid, turn), grid);
  EXPECT_TRUE(near(rigid, at::ones({1, 4, 5, 6}), 1e-10));
  const Eigen::Matrix3d mirror = Eigen::Vector3d(1.0, -1.0, 1.0).asDiagonal();
  EXPECT_EQ(
      jacobian_statistics(jacobian_determinant(linear_field(grid, mirror), grid)).folded_share,
      1.0);
}

TEST(JacobianDeterminant, OfTwoVoxelsAndOfASliceIsThatOfTheirAxes) {
  Geometry flat;
  flat.shape = {1, 2, 5};
  Eigen::Matrix3d a = Eigen::Matrix3d::Identity();
  a(0, 0) = 1.5;
  a(1, 1) = 2.0;
  const at::Tensor det = jacobian_determinant(linear_field(flat, a), flat);
  EXPECT_TRUE(near(det, at::full({1, 1, 2, 5}, 3.0), 1e-12));
}

TEST(JacobianDeterminant, FollowsASmoothFieldToSecondOrder) {
  Geometry grid;
  grid.shape = {6, 6, 60};
  grid.spacing = {0.1, 0.1, 0.1};
  const at::Tensor u = field_of(
      grid, [](const Eigen::Vector3d& x) { return Eigen::Vector3d(0.3 * std::sin(x[0]), 0, 0); });
  const at::Tensor x = 0.1 * at::arange(60, at::kDouble);
  const at::Tensor expected = (1.0 + 0.3 * x.cos()).slice(0, 1, 59);
  EXPECT_TRUE(near(jacobian_determinant(u, grid)[0][3][2].slice(0, 1, 59), expected, 6e-4));
}

TEST(JacobianStatistics, CountFoldsAndSpreadOfTheLogarithm) {
  const double e = std::exp(1.0);
  const at::Tensor det =
      at::tensor({e, 1.0 / e, 0.0, -2.0, e, std::nan("")}, at::kDouble).view({1, 1, 1, 6});
  const JacobianStatistics all = jacobian_statistics(det);
  EXPECT_NEAR(all.folded_share, 0.5, 1e-15);
  EXPECT_NEAR(all.log_deviation, std::sqrt(8.0 / 9.0), 1e-12);
  const at::Tensor mask =
      at::tensor({1, 1, 1, 1, 0, 0}, at::kLong).to(at::kBool).view({1, 1, 1, 6});
  const JacobianStatistics part = jacobian_statistics(det, mask);
  EXPECT_NEAR(part.folded_share, 0.5, 1e-15);
  EXPECT_NEAR(part.log_deviation, 1.0, 1e-12);
  EXPECT_EQ(part.smallest, -2.0);
  EXPECT_NEAR(part.largest, e, 1e-15);
  EXPECT_THAT(error_message("shape", [&] { jacobian_statistics(det, mask.logical_not() * false); }),
              HasSubstr("at least one voxel"));
}

}  // namespace
}  // namespace triptych
