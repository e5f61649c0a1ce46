// SPDX-License-Identifier: Apache-2.0
#include "framework/registration/robust_start.h"

#include "framework/core/error.h"
#include "framework/core/parallel.h"

#include "tests/registration/phantom_body.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {

const Index3 kShape{24, 32, 40};
const Eigen::Vector3d kSpacing(1.9, 1.9, 1.9);

RegistrationImage fixed_body() { return sampled_image(body_value, centred_grid(kShape, kSpacing)); }

StartReport start(const RegistrationImage& fixed,
                  const RegistrationImage& moving,
                  const std::string& model) {
  RobustStartOptions options;
  options.model = model;
  return find_start(fixed, moving, options);
}

TEST(RobustStart, FindsRotationsAboutAnyAxis) {
  const std::vector<AffineMap> truths{turned(10.0, {1, 2, -1}, {4, 0, -3}),
                                      turned(125.0, {0.3, 1, 0.2}, {-8, 3, 60}),
                                      turned(180.0, {1, 1, 0.4}, {0, 0, 0})};
  for (const AffineMap& truth : truths) {
    Geometry grid = centred_grid({36, 36, 36}, kSpacing);
    grid.origin += truth.offset + Eigen::Vector3d(3, -2, 1);
    const StartReport report = start(fixed_body(), moved_body(truth, grid), "rigid");
    EXPECT_LT(body_error_mm(report.moving_from_fixed, truth), 0.4);
    EXPECT_NEAR(report.moving_from_fixed.matrix.determinant(), 1.0, 1e-9);
    EXPECT_LT(report.runner_up, 0.9);
  }
}

TEST(RobustStart, FindsScaleAndShearAcrossGridsAndContrasts) {
  AffineMap truth = turned(75.0, {1, -1, 2}, {5, 9, -4}, 1.12);
  truth.matrix.col(1) *= 1.08;
  Eigen::Matrix3d direction;  // stored as PSR, oblique
  direction << 0, 0, -1, 1, 0, 0, 0, 1, 0;
  direction = turned(17.0, {1, 3, 0}, {0, 0, 0}).matrix * direction;
  RegistrationImage moving =
      moved_body(truth, centred_grid({44, 20, 46}, {1.7, 4.0, 1.8}, direction));
  moving.values = (1.5 - moving.values).square() * 100.0 - 40.0;
  const StartReport report = start(fixed_body(), moving, "affine");
  EXPECT_LT(body_error_mm(report.moving_from_fixed, truth), 0.8);
}

TEST(RobustStart, FindsAPartInTheWhole) {
  const AffineMap truth = turned(150.0, {1, 0.2, 1}, {0, 0, 0});
  Geometry grid = centred_grid({32, 30, 20}, kSpacing);  // sees less than half of the body
  grid.origin += truth.map({12, 0, 0});
  const RegistrationImage part = moved_body(truth, grid);
  EXPECT_LT(body_error_mm(start(fixed_body(), part, "rigid").moving_from_fixed, truth), 0.8);
  const AffineMap back = start(part, fixed_body(), "rigid").moving_from_fixed;
  EXPECT_LT(body_error_mm(back.inverse(), truth), 0.8);
}

TEST(RobustStart, LooksAtWhatTheMasksMark) {
  const AffineMap truth = turned(95.0, {0, 1, 1}, {2, 2, -6});
  const auto with_plate = [](RegistrationImage image, std::int64_t first) {
    image.mask = at::ones_like(image.values);
    image.values.narrow(3, first, 7).fill_(4.0);
    image.mask.narrow(3, first, 7).zero_();
    return image;
  };
  const RegistrationImage fixed = with_plate(fixed_body(), 0);
  const RegistrationImage moving =
      with_plate(moved_body(truth, centred_grid({36, 36, 36}, kSpacing)), 26);
  EXPECT_LT(body_error_mm(start(fixed, moving, "rigid").moving_from_fixed, truth), 0.5);
}

TEST(RobustStart, StaysInThePlaneOfSlices) {
  const AffineMap truth = turned(-140.0, {0, 0, 1}, {6, -9, 0});
  const RegistrationImage fixed = sampled_image(body_value, centred_grid({1, 44, 64}, {1, 1, 1}));
  const RegistrationImage moving = moved_body(truth, centred_grid({1, 70, 60}, {1, 1, 1}));
  const AffineMap found = start(fixed, moving, "affine").moving_from_fixed;
  for (const Eigen::Vector3d& position : {Eigen::Vector3d(20, 10, 0), Eigen::Vector3d(-15, 5, 0)})
    EXPECT_LT((found.map(position) - truth.map(position)).norm(), 0.5);
  EXPECT_NEAR(found.matrix(2, 2), 1.0, 1e-9);
  EXPECT_NEAR(found.map({3, 4, 0}).z(), 0.0, 1e-9);
}

TEST(RobustStart, TakesPixelsWithoutSpacingAndSlicesAlongAnyAxis) {
  const AffineMap truth = turned(50.0, {1, 0, 0}, {0, 3, -2});
  RegistrationImage fixed = sampled_image(body_value, centred_grid({36, 48, 1}, {1, 1, 1}));
  RegistrationImage moving = moved_body(truth, centred_grid({56, 50, 1}, {1, 1, 1}));
  fixed.geometry.spacing_known = moving.geometry.spacing_known = false;
  const AffineMap found = start(fixed, moving, "rigid").moving_from_fixed;
  EXPECT_LT((found.map({0, 10, 10}) - truth.map({0, 10, 10})).norm(), 0.5);
  EXPECT_NEAR(found.map({0, 5, 7}).x(), 0.0, 1e-9);
}

TEST(RobustStart, MovesNoMoreThanTheModelAllows) {
  AffineMap truth;
  truth.offset = {7, -5, 3};
  const RegistrationImage moving = moved_body(truth, centred_grid({30, 38, 44}, kSpacing));
  const AffineMap shifted = start(fixed_body(), moving, "translation").moving_from_fixed;
  EXPECT_TRUE(shifted.matrix.isIdentity(0.0));
  EXPECT_LT(body_error_mm(shifted, truth), 0.3);
  const StartReport none = start(fixed_body(), moving, "none");
  EXPECT_TRUE(none.moving_from_fixed.matrix.isIdentity(0.0));
  EXPECT_TRUE(none.moving_from_fixed.offset.isZero(0.0));
}

TEST(RobustStart, SameBitsForEveryNumberOfThreads) {
  const RegistrationImage moving =
      moved_body(turned(40.0, {1, 1, 0}, {1, 2, 3}), centred_grid({20, 20, 20}, {3.4, 3.4, 3.4}));
  set_num_threads(3);
  const AffineMap together = start(fixed_body(), moving, "affine").moving_from_fixed;
  set_num_threads(1);
  const AffineMap alone = start(fixed_body(), moving, "affine").moving_from_fixed;
  EXPECT_EQ(alone.matrix, together.matrix);
  EXPECT_EQ(alone.offset, together.offset);
}

TEST(RefineStart, FindsWhatLiesNearAGuessAndNothingElse) {
  const AffineMap truth = turned(125.0, {0.3, 1, 0.2}, {-8, 3, 60});
  Geometry grid = centred_grid({36, 36, 36}, kSpacing);
  grid.origin += truth.offset;
  const RegistrationImage moving = moved_body(truth, grid);
  RobustStartOptions options;
  options.model = "rigid";
  const auto refined = [&](double off_deg) {
    const AffineMap guess = compose(truth, turned(off_deg, {1, -1, 0.5}, {3, 1, -2}));
    return body_error_mm(refine_start(fixed_body(), moving, guess, options).moving_from_fixed,
                         truth);
  };
  EXPECT_LT(refined(5.0), 0.4);
  EXPECT_LT(refined(35.0), 0.4);
  EXPECT_GT(refined(150.0), 5.0);
}

TEST(RefineStart, StaysInThePlaneOfSlices) {
  const AffineMap truth = turned(-140.0, {0, 0, 1}, {6, -9, 0});
  const RegistrationImage fixed =
      sampled_image(body_value, centred_grid({1, 40, 48}, {1.6, 1.6, 1.6}));
  const RegistrationImage moving = moved_body(truth, centred_grid({1, 44, 44}, {1.6, 1.6, 1.6}));
  RobustStartOptions options;
  options.model = "rigid";
  const AffineMap guess = compose(truth, turned(18.0, {0, 0, 1}, {2, 1, 0}));
  EXPECT_LT(body_error_mm(refine_start(fixed, moving, guess, options).moving_from_fixed, truth),
            0.5);
}

std::string message_of(const RegistrationImage& fixed, const RegistrationImage& moving) {
  try {
    start(fixed, moving, "rigid");
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(RobustStart, SaysWhatCannotBeAligned) {
  const RegistrationImage body = fixed_body();
  const RegistrationImage slice = sampled_image(body_value, centred_grid({1, 30, 40}, {2, 2, 2}));
  EXPECT_THAT(message_of(slice, body), ::testing::HasSubstr("expected two volumes or two images"));
  RegistrationImage constant = body;
  constant.mask = (body.values == 0.0).to(at::kFloat);
  EXPECT_THAT(message_of(body, constant),
              ::testing::HasSubstr("the moving image has one grey value only"));
  RegistrationImage few = body;
  few.mask = at::zeros_like(body.values);
  few.mask[0][0][12][16].narrow(0, 14, 4).fill_(1.0);
  EXPECT_THAT(message_of(few, body), ::testing::HasSubstr("first alignment: no place makes 25 %"));
}

}  // namespace
}  // namespace triptych
