// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/prior_image.h"

#include "framework/core/parallel.h"
#include "framework/ops/metal_artifact.h"

#include "tests/ops/ellipse_phantom.h"
#include "tests/support/tensor_matchers.h"

#include <cmath>
#include <numbers>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {

/// 1 within `radius` of (row, column) in a slice of `edge` pixels, [1, edge, edge].
at::Tensor filled_circle(std::int64_t edge, double row, double column, double radius) {
  const at::Tensor axis = at::arange(edge, at::kFloat);
  const at::Tensor distance =
      ((axis.view({-1, 1}) - row).square() + (axis.view({1, -1}) - column).square()).sqrt();
  return (distance <= radius).to(at::kFloat).unsqueeze(0);
}

TEST(NonLocalMeansOf, EqualsItsDefinition) {
  const at::Tensor image = at::rand({1, 1, 9, 9}), prior = at::rand({1, 1, 9, 9});
  const NonLocalMeansOptions options{.strength = 0.4, .patch_radius = 1, .search_radius = 2};
  const at::Tensor mean = non_local_means_of(image, prior, options);
  const auto x = image.accessor<float, 4>()[0][0], p = prior.accessor<float, 4>()[0][0];
  const std::int64_t row = 4, column = 5;
  double sum = 0.0, total = 0.0;
  for (std::int64_t dy = -2; dy <= 2; ++dy) {
    for (std::int64_t dx = -2; dx <= 2; ++dx) {
      double distance = 0.0;
      for (std::int64_t i = -1; i <= 1; ++i) {
        for (std::int64_t j = -1; j <= 1; ++j)
          distance += std::pow(x[row + i][column + j] - p[row + dy + i][column + dx + j], 2) / 9.0;
      }
      const double weight = std::exp(-distance / (0.4 * 0.4));
      sum += weight * p[row + dy][column + dx];
      total += weight;
    }
  }
  EXPECT_NEAR(mean[0][0][row][column].item<double>(), sum / total, 1e-5);
  EXPECT_TRUE(
      at::equal(non_local_means_of(image, image, options), non_local_means(image, options)));
}

TEST(NonLocalMeansOf, FindsADisplacedPriorAndLeavesAloneWhatItDoesNotShow) {
  const at::Tensor image = filled_circle(32, 15, 15, 8).unsqueeze(0);
  const at::Tensor displaced = filled_circle(32, 16, 17, 8).unsqueeze(0);
  const NonLocalMeansOptions options{.strength = 0.02, .patch_radius = 2, .search_radius = 3};
  EXPECT_TRUE(testing::near(non_local_means_of(image, displaced, options), image, 1e-6));
  const at::Tensor foreign = at::full_like(image, 50.0);
  EXPECT_TRUE(at::equal(non_local_means_of(image, foreign, options), image));
}

TEST(PriorRegulariser, GradientAndProximalPointFollowTheFormulas) {
  const at::Tensor image = at::rand({1, 2, 8, 8}), prior = at::rand({1, 2, 8, 8});
  const at::Tensor weights = at::rand({2, 8, 8});
  const PriorRegulariser regulariser(image, prior, weights, {.strength = 0.3});
  const at::Tensor direction = at::randn_like(image);
  const double step = 1e-3;
  const double slope =
      (regulariser.value(image + step * direction) - regulariser.value(image - step * direction)) /
      (2.0 * step);
  EXPECT_NEAR(slope, (regulariser.gradient(image) * direction).sum().item<double>(), 2e-3);
  // At the proximal point the gradient of 1/2 |u - image|^2 + 0.7 R(u) vanishes.
  const at::Tensor u = regulariser.proximal(image, 0.7);
  EXPECT_TRUE(
      testing::near(u - image + 0.7 * regulariser.gradient(u), at::zeros_like(image), 1e-6));
  EXPECT_TRUE(
      at::equal(PriorRegulariser(image, prior, at::zeros({1}), {}).proximal(image, 9.0), image));
  EXPECT_EQ(testing::error_message("shape",
                                   [&] {
                                     PriorRegulariser(image, at::rand({1, 2, 8, 9}), weights, {});
                                   }),
            "prior image: expected shape [1, 2, 8, 8], got [1, 2, 8, 9]");
}

/// Share of the circle that the squares of the metal cover, seen from a pixel beside them that has
/// all of the metal towards one side: from the angles of their corners.
double corner_share(const at::Tensor& metal, double row, double column, double towards_rad) {
  double low = 10.0, high = -10.0;
  for (std::int64_t i = 0; i < metal.size(1); ++i) {
    for (std::int64_t j = 0; j < metal.size(2); ++j) {
      if (metal[0][i][j].item<float>() == 0.0F) continue;
      for (const auto& [dy, dx] : {std::pair{-0.5, -0.5}, {-0.5, 0.5}, {0.5, -0.5}, {0.5, 0.5}}) {
        const double y = static_cast<double>(i) + dy - row;
        const double x = static_cast<double>(j) + dx - column;
        const double angle = std::remainder(std::atan2(y, x) - towards_rad, 2.0 * std::numbers::pi);
        low = std::min(low, angle);
        high = std::max(high, angle);
      }
    }
  }
  return (high - low) / (2.0 * std::numbers::pi);
}

TEST(OpeningAngle, IsThatOfTheMetalsCornersAndNearlyThatOfACircle) {
  const double radius = 6.0;
  const at::Tensor metal = filled_circle(96, 40, 40, radius);
  const std::int64_t directions = 720;
  const at::Tensor shares = opening_angle_weights(metal, directions);
  for (const auto& [row, column] : {std::pair{40, 60}, {70, 40}, {80, 80}, {5, 90}, {40, 49}}) {
    const double distance = std::hypot(row - 40.0, column - 40.0);
    const double share = shares[0][row][column].item<double>();
    const double edge = 1.0 / static_cast<double>(directions) +
                        1.0 / 16.0 / (distance - radius) / (2.0 * std::numbers::pi);
    EXPECT_NEAR(
        share, corner_share(metal, row, column, std::atan2(40.0 - row, 40.0 - column)), 2.0 * edge)
        << row << " " << column;
    EXPECT_GT(share, std::asin(radius / distance) / std::numbers::pi - edge);
    EXPECT_LT(share, std::asin((radius + 1.0) / distance) / std::numbers::pi + edge);
  }
  EXPECT_EQ(shares[0][40][40].item<float>(), 1.0F);
}

TEST(OpeningAngle, FallsWithTheDistanceAndAddsUpOverPieces) {
  const at::Tensor one = opening_angle_weights(filled_circle(64, 32, 20, 4), 720);
  for (std::int64_t column = 26; column < 63; ++column)
    EXPECT_GE(one[0][32][column - 1].item<float>(), one[0][32][column].item<float>()) << column;
  const at::Tensor other = opening_angle_weights(filled_circle(64, 10, 50, 4), 720);
  const at::Tensor both =
      opening_angle_weights(filled_circle(64, 32, 20, 4) + filled_circle(64, 10, 50, 4), 720);
  EXPECT_NEAR(both[0][60][60].item<float>(), (one + other)[0][60][60].item<float>(), 1e-6)
      << "seen apart";
  EXPECT_EQ(opening_angle_weights(at::zeros({2, 1, 5, 5})).max().item<float>(), 0.0F);
}

TEST(OpeningAngle, TreatsSlicesApartAndDoesNotDependOnThreads) {
  const at::Tensor metal =
      at::cat({filled_circle(48, 20, 20, 3), filled_circle(48, 9, 30, 5)}).unsqueeze(0);
  set_num_threads(1);
  const at::Tensor once = opening_angle_weights(metal);
  set_num_threads(3);
  EXPECT_TRUE(at::equal(opening_angle_weights(metal), once));
  EXPECT_TRUE(at::equal(opening_angle_weights(metal[0].narrow(0, 1, 1)), once[0].narrow(0, 1, 1)));
}

/// A disc of water with bones, of which two opaque pieces of metal hide many rays, and an earlier
/// scan without metal that is displaced by a pixel.
class HiddenRays : public ::testing::Test {
 protected:
  static constexpr std::int64_t kEdge = 64, kColumns = 95;

  HiddenRays() {
    scan_.angles_rad = testing::even_angles(90, std::numbers::pi);
    scan_.column_spacing_mm = 1.5;
    scan_.centre_column = 0.5 * (kColumns - 1);
    truth_ = slice(0.0);
    prior_ = slice(1.0) + 0.002 * at::randn(truth_.sizes());
    measured_ = project(truth_, scan_, kColumns, grid_);
    measured_ += 0.02 * at::randn_like(measured_);
  }

  void hide_behind(double radius) {
    metal_ = filled_circle(kEdge, 31, 18, radius) + filled_circle(kEdge, 33, 46, radius);
    trace_ = metal_trace(metal_, scan_, kColumns, grid_);
    weights_ = opening_angle_weights(metal_);
  }

  static at::Tensor slice(double shift) {
    const auto bone = [&](double row, double column, double radius) {
      return 0.15 * filled_circle(kEdge, row + shift, column - shift, radius);
    };
    return 0.2 * filled_circle(kEdge, 31.5 + shift, 31.5 - shift, 28) + bone(20, 20, 4) +
           bone(44, 42, 5) + bone(31, 32, 3) + bone(36, 24, 2);
  }

  /// Iterations as SIRT's on the rays beside the trace; each ends with the proximal step. Patches,
  /// their strength and that of the step were chosen on this phantom.
  at::Tensor reconstructed(double strength) const {
    const at::Tensor known = 1.0 - trace_.to(at::kFloat);
    const at::Tensor ones = at::ones_like(truth_);
    const at::Tensor rows = known / project(ones, scan_, kColumns, grid_).clamp_min(1e-3);
    const at::Tensor columns = 1.0 / back_project(known, scan_, grid_).clamp_min(1e-3);
    at::Tensor x = at::zeros_like(truth_);
    for (int iteration = 0; iteration < 60; ++iteration) {
      const at::Tensor residual = measured_ - project(x, scan_, kColumns, grid_);
      x = (x + columns * back_project(rows * residual, scan_, grid_)).clamp_min(0.0);
      if (strength == 0.0 || iteration < 10) continue;
      const NonLocalMeansOptions options{.strength = 0.03, .patch_radius = 1, .search_radius = 3};
      const PriorRegulariser regulariser(x.unsqueeze(0), prior_.unsqueeze(0), weights_, options);
      x = regulariser.proximal(x.unsqueeze(0), strength)[0];
    }
    return x;
  }

  /// Root mean square error over the quarter of the pixels beside the metal that see it under the
  /// largest angle.
  double error_of(const at::Tensor& image) const {
    const at::Tensor beside = metal_ == 0;
    const double border = at::quantile(weights_.masked_select(beside), 0.75).item<double>();
    const at::Tensor shadow = (weights_ >= border).logical_and(beside);
    return (image - truth_).masked_select(shadow).square().mean().sqrt().item<double>();
  }

  SliceGrid grid_ = SliceGrid::centred(kEdge, kEdge, 1.5);
  ScanGeometry scan_;
  at::Tensor truth_, prior_, metal_, trace_, measured_, weights_;
};

TEST_F(HiddenRays, AreFilledInByThePriorBetterThanWithout) {
  for (const double radius : {3.0, 5.0}) {
    hide_behind(radius);
    const double without = error_of(reconstructed(0.0));
    EXPECT_LT(error_of(reconstructed(0.3)), 0.8 * without) << "metal of radius " << radius;
  }
}

}  // namespace
}  // namespace triptych
