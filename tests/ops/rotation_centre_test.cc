// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/rotation_centre.h"

#include "tests/ops/analytic_sinogram.h"
#include "tests/support/tensor_matchers.h"

#include <algorithm>

#include <gtest/gtest.h>

namespace triptych {
namespace {

at::Tensor noisy(const at::Tensor& sinogram, double sigma) {
  at::manual_seed(3);
  return sinogram + sigma * at::randn_like(sinogram);
}

class RotationCentreAt : public ::testing::TestWithParam<double> {};

TEST_P(RotationCentreAt, IsFoundFromTheSpectrumOfHalfATurn) {
  const double truth = GetParam();
  const auto angles = even_angles(180, 180.0);
  const at::Tensor sinogram = noisy(analytic_sinogram(three_ellipses(), angles, 120, truth), 0.01);
  const RotationCentre found = find_rotation_centre(sinogram.unsqueeze(0), angles);
  EXPECT_EQ(found.method, "fourier");
  EXPECT_NEAR(found.column, truth, 0.3);
  EXPECT_FALSE(found.at_search_end);
}

TEST_P(RotationCentreAt, IsFoundFromOppositeViewsOfAFullTurn) {
  const double truth = GetParam();
  const auto angles = even_angles(101, 360.0);  // no two views are exactly opposite
  const at::Tensor sinogram = noisy(analytic_sinogram(three_ellipses(), angles, 120, truth), 0.01);
  const RotationCentre found = find_rotation_centre(sinogram.unsqueeze(0), angles);
  EXPECT_EQ(found.method, "pairs");
  EXPECT_NEAR(found.column, truth, 0.05);
}

INSTANTIATE_TEST_SUITE_P(Columns, RotationCentreAt, ::testing::Values(59.5, 52.0, 55.3, 68.75));

TEST(RotationCentre, UsesTheOnePairOfFewViews) {
  std::vector<double> angles = even_angles(30, 180.0);
  angles.push_back(std::numbers::pi);
  const at::Tensor sinogram = analytic_sinogram(three_ellipses(), angles, 120, 56.25);
  const RotationCentre found = find_rotation_centre(sinogram.unsqueeze(0), angles);
  EXPECT_EQ(found.method, "pairs");
  EXPECT_NEAR(found.column, 56.25, 0.1);
}

TEST(RotationCentre, DoesNotMindTheOrderOfTheViews) {
  std::vector<double> angles = even_angles(180, 180.0);
  const at::Tensor sinogram = analytic_sinogram(three_ellipses(), angles, 120, 62.0);
  const double forward = centre_from_spectrum(sinogram, angles).column;
  std::reverse(angles.begin(), angles.end());
  EXPECT_DOUBLE_EQ(centre_from_spectrum(sinogram.flip({0}), angles).column, forward);
}

TEST(RotationCentre, AgreesBetweenCoarseAndFullSizeOfALargeDetector) {
  std::vector<AnalyticEllipse> large;
  for (AnalyticEllipse e : three_ellipses())
    large.push_back({12.0 * e.x, 12.0 * e.y, 12.0 * e.a, 12.0 * e.b, e.tilt_rad, e.value / 12.0});
  const auto angles = even_angles(120, 180.0);
  const at::Tensor sinogram = analytic_sinogram(large, angles, 1441, 741.0);
  EXPECT_NEAR(centre_from_spectrum(sinogram, angles).column, 741.0, 1.0);
}

TEST(RotationCentre, RefusesPartOfHalfATurn) {
  const auto angles = even_angles(90, 120.0);
  const at::Tensor sinogram = analytic_sinogram(three_ellipses(), angles, 120, 60.0);
  EXPECT_NE(testing::error_message("data", [&] { centre_from_spectrum(sinogram, angles); })
                .find("expected views over 180 degrees"),
            std::string::npos);
  EXPECT_NE(testing::error_message("data", [&] { centre_from_pairs(sinogram, angles); })
                .find("180 degrees apart"),
            std::string::npos);
}

}  // namespace
}  // namespace triptych
