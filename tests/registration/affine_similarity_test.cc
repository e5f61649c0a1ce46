// SPDX-License-Identifier: Apache-2.0
#include "framework/registration/affine_similarity.h"

#include "framework/core/parallel.h"

#include "tests/registration/phantom_body.h"

#include <gtest/gtest.h>

namespace triptych {
namespace {

/// Two different views of the body, the second with half of it masked.
struct Pair {
  RegistrationImage fixed = sampled_image(body_value, centred_grid({20, 24, 32}, {2.2, 2.2, 2.2}));
  RegistrationImage moving =
      moved_body(turned(20.0, {1, 2, 3}, {3, -2, 1}), centred_grid({22, 26, 30}, {2.4, 2.0, 2.1}));

  Pair() {
    moving.mask = at::ones_like(moving.values);
    moving.mask.narrow(4, 0, 8).zero_();
  }
};

TEST(AffineSimilarity, GradientIsThatOfTheValue) {
  const Pair pair;
  const AffineSimilarity similarity(pair.fixed, pair.moving, {24, 100000, 0.5, 0.1});
  AffineMap map = turned(31.0, {2, 1, 3}, {4, 0.5, -1}, 1.05);
  map.matrix(0, 1) += 0.04;
  const AffineScore score = similarity.value_and_gradient(map);
  ASSERT_LT(score.overlap, 0.99);
  const double step = 2e-2;
  const auto value_at = [&](const Eigen::Matrix3d& matrix_change, const Eigen::Vector3d& shift) {
    const Eigen::Matrix3d matrix = map.matrix + matrix_change;
    const Eigen::Vector3d& centre = similarity.centre_mm();
    return similarity.value({matrix, map.map(centre) + shift - matrix * centre}).value;
  };
  const Eigen::Matrix3d none = Eigen::Matrix3d::Zero();
  for (int a = 0; a < 3; ++a) {
    const Eigen::Vector3d shift = step * Eigen::Vector3d::Unit(a);
    const double slope = (value_at(none, shift) - value_at(none, -shift)) / (2.0 * step);
    EXPECT_NEAR(score.by_offset[a], slope, 0.03 * score.by_offset.norm()) << a;
    for (int b = 0; b < 3; ++b) {
      Eigen::Matrix3d change = none;
      change(a, b) = step / similarity.radius_mm();
      const double by_entry =
          (value_at(change, Eigen::Vector3d::Zero()) - value_at(-change, Eigen::Vector3d::Zero())) /
          (2.0 * change(a, b));
      EXPECT_NEAR(score.by_matrix(a, b), by_entry, 0.03 * score.by_matrix.norm()) << a << b;
    }
  }
}

TEST(AffineSimilarity, DoesNotCareForTheContrast) {
  const Pair pair;
  RegistrationImage inverted = pair.moving;
  inverted.values = 7.0 - 3.0 * pair.moving.values;
  const AffineMap map = turned(20.0, {1, 2, 3}, {3, -2, 1});
  const double as_is = AffineSimilarity(pair.fixed, pair.moving).value(map).similarity;
  EXPECT_NEAR(AffineSimilarity(pair.fixed, inverted).value(map).similarity, as_is, 1e-3);
  EXPECT_GT(as_is, 2.0 * AffineSimilarity(pair.fixed, pair.moving).value({}).similarity);
}

TEST(AffineSimilarity, CountsTheOverlapOfTheSmallerImage) {
  const RegistrationImage fixed =
      sampled_image(body_value, centred_grid({16, 16, 32}, {2.0, 2.0, 2.0}));
  const RegistrationImage moving =
      sampled_image(body_value, centred_grid({16, 16, 16}, {2.0, 2.0, 2.0}));
  const AffineSimilarity similarity(fixed, moving);
  EXPECT_NEAR(similarity.value({}).overlap, std::pow(15.0 / 16.0, 3), 0.01);  // half border voxels
  AffineMap aside;
  aside.offset.x() = 16.0;
  EXPECT_NEAR(similarity.value(aside).overlap, similarity.value({}).overlap, 0.02);
  aside.offset.x() = 100.0;
  EXPECT_EQ(similarity.value(aside).value, 0.0);
}

TEST(AffineSimilarity, SameBitsForEveryNumberOfThreads) {
  const Pair pair;
  const AffineMap map = turned(12.0, {1, 1, 3}, {1, -2, 2});
  const AffineSimilarity similarity(pair.fixed, pair.moving);
  set_num_threads(1);
  const AffineScore alone = similarity.value_and_gradient(map);
  set_num_threads(3);
  const AffineScore together = similarity.value_and_gradient(map);
  set_num_threads(1);
  EXPECT_EQ(alone.value, together.value);
  EXPECT_EQ(alone.by_matrix, together.by_matrix);
  EXPECT_EQ(alone.by_offset, together.by_offset);
}

}  // namespace
}  // namespace triptych
