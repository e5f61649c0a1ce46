// SPDX-License-Identifier: Apache-2.0
#include "framework/registration/registration_metrics.h"

#include "framework/core/error.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string problem_of(const Landmarks& fixed, const Landmarks& moving) {
  try {
    match_landmarks(fixed, moving);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(LandmarkPairs, AreMatchedByLabelAndListTheRest) {
  const LandmarkPairs pairs =
      match_landmarks({{"a", {1, 0, 0}}, {"b", {2, 0, 0}}, {"c", {3, 0, 0}}},
                      {{"c", {30, 0, 0}}, {"d", {40, 0, 0}}, {"a", {10, 0, 0}}});
  EXPECT_THAT(pairs.labels, ElementsAre("a", "c"));
  EXPECT_THAT(pairs.only_fixed, ElementsAre("b"));
  EXPECT_THAT(pairs.only_moving, ElementsAre("d"));
  EXPECT_EQ(pairs.moving[1].x(), 30.0);
}

TEST(LandmarkPairs, WithoutLabelsGoByTheirOrder) {
  const LandmarkPairs pairs =
      match_landmarks({{"", {1, 0, 0}}, {"", {2, 0, 0}}}, {{"", {5, 0, 0}}, {"", {7, 0, 0}}});
  EXPECT_THAT(pairs.labels, ElementsAre("1", "2"));
  EXPECT_EQ(pairs.moving[1].x(), 7.0);
}

TEST(LandmarkPairs, SayWhatDoesNotFit) {
  EXPECT_THAT(problem_of({{"a", {}}}, {{"b", {}}}), HasSubstr("labels that both images have"));
  EXPECT_THAT(problem_of({{"a", {}}, {"a", {}}}, {{"a", {}}}), HasSubstr("'a' twice"));
  EXPECT_THAT(problem_of({{"", {}}}, {{"", {}}, {"", {}}}), HasSubstr("got 1 and 2"));
}

TEST(RegistrationErrors, AreDistancesAfterTheTransform) {
  const LandmarkPairs pairs =
      match_landmarks({{"a", {0, 0, 0}}, {"b", {1, 1, 1}}}, {{"a", {3, 4, 0}}, {"b", {1, 1, 2}}});
  EXPECT_THAT(registration_errors(pairs, AffineMap{}), ElementsAre(5.0, 1.0));
  const AffineMap shift{Eigen::Matrix3d::Identity(), {0, 0, 1}};
  EXPECT_DOUBLE_EQ(registration_errors(pairs, shift)[1], 0.0);
}

TEST(RegistrationErrors, AreSummarisedWithTheirWorstThird) {
  const ErrorSummary ten = summarise({10, 1, 2, 3, 4, 5, 6, 7, 8, 9});
  EXPECT_DOUBLE_EQ(ten.mean, 5.5);
  EXPECT_DOUBLE_EQ(ten.median, 5.5);
  EXPECT_DOUBLE_EQ(ten.worst_30, 9.0);  // of 8, 9 and 10
  EXPECT_DOUBLE_EQ(ten.largest, 10.0);
  const ErrorSummary one = summarise({4.0});
  EXPECT_DOUBLE_EQ(one.median, 4.0);
  EXPECT_DOUBLE_EQ(one.worst_30, 4.0);
}

TEST(JacobianOfATransform, IsThatOfItsMatrix) {
  AffineMap scale;
  scale.matrix = Eigen::Vector3d(2.0, 1.5, 0.5).asDiagonal();
  Geometry grid;
  grid.shape = {4, 5, 6};
  const at::Tensor determinant = jacobian_determinant(scale, grid);
  EXPECT_NEAR(determinant.min().item<double>(), 1.5, 1e-5);
  EXPECT_NEAR(determinant.max().item<double>(), 1.5, 1e-5);
}

}  // namespace
}  // namespace triptych
