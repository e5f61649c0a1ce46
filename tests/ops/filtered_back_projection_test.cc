// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/filtered_back_projection.h"

#include "framework/core/parallel.h"
#include "framework/ops/pixel_tensors.h"
#include "framework/ops/ramp_filter.h"
#include "framework/ops/short_scan.h"

#include "tests/ops/ellipse_phantom.h"
#include "tests/support/tensor_matchers.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <fmt/core.h>

namespace triptych {
namespace {

using Beam = ScanGeometry::Beam;
using std::numbers::pi;
using testing::inner_product;
using testing::near;
using testing::two_norm;

class FilteredBackProjection : public ::testing::TestWithParam<Beam> {};

/// Mean absolute error of a reconstruction on `size` x `size` pixels, within the field of view.
double error_of(Beam beam, std::int64_t size) {
  const ScanGeometry scan = testing::covering_scan(beam, 2 * size, size);
  const SliceGrid grid = SliceGrid::centred(size, size, 100.0 / static_cast<double>(size));
  const at::Tensor projections = testing::ellipse_projections(scan, size, 2).to(at::kFloat);
  const at::Tensor image = fbp(projections.unsqueeze(0), scan, grid, RampFilter::kHann)[0];
  const at::Tensor x = (at::arange(size) - grid.centre_row) / static_cast<double>(size);
  const at::Tensor inside = x.square().unsqueeze(0) + x.square().unsqueeze(1) < 0.48 * 0.48;
  return (image - testing::ellipse_image(grid)).abs().masked_select(inside).mean().item<double>();
}

TEST_P(FilteredBackProjection, ConvergesToTheEllipsesWithResolution) {
  const double coarse = error_of(GetParam(), 48), middle = error_of(GetParam(), 96),
               fine = error_of(GetParam(), 192);
  // Sharp edges: the error lives in pixels at the edges, whose share halves. (Without a window the
  // ripples beside them add a logarithm.)
  const double slope = 0.5 * std::log2(coarse / fine);
  RecordProperty("slope", std::to_string(slope));
  RecordProperty("mean_errors", fmt::format("{:.5f} {:.5f} {:.5f}", coarse, middle, fine));
  EXPECT_GT(slope, 0.85) << coarse << " " << middle << " " << fine;
  EXPECT_GT(coarse, 1.5 * middle);
  EXPECT_GT(middle, 1.5 * fine);
  EXPECT_LT(fine, 0.005);
}

TEST_P(FilteredBackProjection, KeepsTheValueInsideAnOffCentreScan) {
  ScanGeometry scan = testing::covering_scan(GetParam(), 360, 200);
  scan.centre_column += 6.3;
  SliceGrid grid = SliceGrid::centred(90, 110, 1.0);
  grid.row_spacing_mm = 0.8;
  grid.centre_row = 50.3;
  grid.centre_column = 51.9;
  const at::Tensor image =
      fbp(testing::ellipse_projections(scan, 200).to(at::kFloat).unsqueeze(0), scan, grid)[0];
  const at::Tensor difference = image - testing::ellipse_image(grid);
  // About (20, 15) mm from the axis there is nothing but the large ellipse.
  const at::Tensor flat = difference.narrow(0, 64, 10).narrow(1, 67, 10);
  EXPECT_LT(flat.abs().max().item<double>(), 0.003);
  const at::Tensor x = (at::arange(110) - grid.centre_column) * grid.column_spacing_mm;
  const at::Tensor y = (at::arange(90) - grid.centre_row) * grid.row_spacing_mm;
  const at::Tensor inside = x.square().unsqueeze(0) + y.square().unsqueeze(1) < 44.0 * 44.0;
  EXPECT_LT(std::abs(difference.masked_select(inside).mean().item<double>()), 5e-4);
}

TEST_P(FilteredBackProjection, KernelAgreesWithLibTorchOperators) {
  ScanGeometry scan = testing::covering_scan(GetParam(), 31, 57);
  scan.centre_column += 2.3;
  const SliceGrid grid{45, 37, 1.7, 2.1, 20.4, 19.1};
  const at::Tensor projections = at::randn({2, 35, 31, 57}, at::kDouble);
  const at::Tensor expected = fbp(projections, scan, grid);
  EXPECT_EQ(expected.scalar_type(), at::kDouble);
  const at::Tensor actual = fbp(projections.to(at::kFloat), scan, grid);
  EXPECT_TRUE(near(actual, expected, 5e-6 * expected.abs().max().item<double>()));
}

TEST_P(FilteredBackProjection, GradientIsTheExactAdjoint) {
  ScanGeometry scan = testing::covering_scan(GetParam(), 31, 57);
  const SliceGrid grid{45, 37, 1.7, 2.1, 20.4, 19.1};
  for (const auto type : {at::kFloat, at::kDouble}) {
    const at::Tensor projections = at::randn({3, 31, 57}, type).requires_grad_(true);
    const at::Tensor weight = at::randn({3, 45, 37}, type);
    const at::Tensor image = fbp(projections, scan, grid, RampFilter::kHann);
    image.backward(weight);
    const double scale = two_norm(image) * two_norm(weight);
    EXPECT_LT(
        std::abs(inner_product(image, weight) - inner_product(projections, projections.grad())) /
            scale,
        1e-6);
  }
}

TEST_P(FilteredBackProjection, ResultsDoNotDependOnThreads) {
  const ScanGeometry scan = testing::covering_scan(GetParam(), 31, 57);
  const SliceGrid grid{45, 37, 1.7, 2.1, 20.4, 19.1};
  const at::Tensor projections = at::randn({70, 31, 57}), weight = at::randn({70, 45, 37});
  std::vector<at::Tensor> images, gradients;
  for (const int threads : {1, 2, 3}) {
    set_num_threads(threads);
    const at::Tensor input = projections.clone().requires_grad_(true);
    images.push_back(fbp(input, scan, grid));
    images.back().backward(weight);
    gradients.push_back(input.grad());
  }
  set_num_threads(1);
  for (const std::size_t i : {1, 2}) {
    EXPECT_TRUE(at::equal(images[0], images[i]));
    EXPECT_TRUE(at::equal(gradients[0], gradients[i]));
  }
}

INSTANTIATE_TEST_SUITE_P(Beams,
                         FilteredBackProjection,
                         ::testing::Values(Beam::kParallel, Beam::kFanFlat, Beam::kFanCurved),
                         [](const auto& tested) { return testing::beam_name(tested.param); });

TEST(RampFilter, IsTheTransformOfTheBandLimitedRamp) {
  const std::int64_t padded = padded_columns(100);
  EXPECT_EQ(padded, 256);
  const std::vector<double> response = ramp_response(100, RampFilter::kRamLak, 0.0);
  ASSERT_EQ(response.size(), 129U);
  for (const std::size_t k : {0, 1, 7, 64, 128}) {
    double expected = 0.25;
    for (int n = 1; n < 128; n += 2)
      expected -= 2.0 * std::cos(2.0 * pi * static_cast<double>(k) * n / 256.0) / (pi * n * pi * n);
    EXPECT_NEAR(response[k], expected, 1e-12);
    EXPECT_NEAR(response[k], static_cast<double>(k) / 256.0, 2e-3);
  }
}

TEST(RampFilter, WindowsHaveTheirTextbookValues) {
  const std::vector<double> ramp = ramp_response(100, RampFilter::kRamLak, 0.0);
  const auto window = [&](RampFilter filter, std::size_t k) {
    return ramp_response(100, filter, 0.0)[k] / ramp[k];
  };
  EXPECT_NEAR(window(RampFilter::kSheppLogan, 128), 2.0 / pi, 1e-12);
  EXPECT_NEAR(window(RampFilter::kCosine, 64), std::sqrt(0.5), 1e-12);
  EXPECT_NEAR(window(RampFilter::kHamming, 128), 0.08, 1e-12);
  EXPECT_NEAR(window(RampFilter::kHamming, 64), 0.54, 1e-12);
  EXPECT_NEAR(window(RampFilter::kHann, 128), 0.0, 1e-12);
  EXPECT_NEAR(window(RampFilter::kHann, 64), 0.5, 1e-12);
  for (const char* name : {"ram_lak", "shepp_logan", "cosine", "hamming", "hann"})
    EXPECT_EQ(ramp_filter_text(ramp_filter_from_text(name)), name);
  EXPECT_EQ(testing::error_message("usage", [] { ramp_filter_from_text("ramp"); }),
            "filter: expected one of ram_lak, shepp_logan, cosine, hamming, hann, got 'ramp'");
}

TEST(RampFilter, GivesTheConvolutionInUnitsOfTheDetector) {
  ScanGeometry scan;
  scan.angles_rad = {0.0};
  scan.column_spacing_mm = 0.5;
  at::Tensor impulse = at::zeros({1, 1, 9}, at::kDouble);
  impulse[0][0][4] = 1.0;
  const at::Tensor filtered = filter_projections(impulse, scan)[0][0];
  EXPECT_NEAR(filtered[4].item<double>(), 20.0 * 0.25, 1e-9);  // 20 columns a cm
  EXPECT_NEAR(filtered[5].item<double>(), -20.0 / (pi * pi), 1e-9);
  EXPECT_NEAR(filtered[6].item<double>(), 0.0, 1e-9);
  EXPECT_NEAR(filtered[1].item<double>(), -20.0 / (9.0 * pi * pi), 1e-9);
}

TEST(AngleWeights, AreHalfTheDistanceToBothNeighbours) {
  const auto weights = [](std::vector<double> degrees, Beam beam = Beam::kParallel) {
    ScanGeometry scan;
    scan.beam = beam;
    for (const double degree : degrees) scan.angles_rad.push_back(degree * pi / 180.0);
    std::vector<double> result = angle_weights(scan);
    for (double& weight : result) weight *= 180.0 / pi;
    return result;
  };
  const auto expect = [](const std::vector<double>& actual, const std::vector<double>& expected) {
    ASSERT_EQ(actual.size(), expected.size());
    for (std::size_t i = 0; i < actual.size(); ++i) EXPECT_NEAR(actual[i], expected[i], 1e-9) << i;
  };
  expect(weights({0, 60, 120}), {60, 60, 60});
  expect(weights({120, 0, 90}), {45, 75, 60});
  expect(weights({0, 60, 120, 180}), {30, 60, 60, 30});  // 0 and 180 degrees see the same
  expect(weights({0, 60, 120, 180, 240, 300}), {30, 30, 30, 30, 30, 30});
  expect(weights({0, 90, 180, 270}, Beam::kFanFlat), {45, 45, 45, 45});
  expect(weights({0, 10, 20, 30}), {10, 10, 10, 10});  // the other 150 degrees were not scanned
}

class ShortScan : public ::testing::TestWithParam<Beam> {
 protected:
  /// Angles over `degrees` from 300 on, as dense as 360 over the full circle.
  static ScanGeometry scan_over(double degrees) {
    ScanGeometry scan = testing::covering_scan(GetParam(), 360, 200);
    scan.angles_rad = testing::even_angles(
        static_cast<std::int64_t>(degrees), degrees * pi / 180.0, 300.0 * pi / 180.0);
    return scan;
  }
  static at::Tensor projections(const ScanGeometry& scan) {
    return testing::ellipse_projections(scan, 200, 2).to(at::kFloat).unsqueeze(0);
  }
};

// Both rays of a fan's angle together see every line once more than a half circle would.
TEST_P(ShortScan, WeightsCountEveryRayTwice) {
  for (const double degrees : {212.0, 250.0, 300.0}) {
    const at::Tensor weights = parker_weights(scan_over(degrees), 200);
    const at::Tensor both = (weights + weights.flip(1)).sum(0) * (pi / 180.0);
    EXPECT_TRUE(near(both, at::full_like(both, 4.0 * pi), 2e-3)) << degrees;
    EXPECT_GE(weights.min().item<double>(), 0.0);
    EXPECT_LE(weights.max().item<double>(), 2.0);
  }
  EXPECT_FALSE(parker_weights(scan_over(360.0), 200).defined());
}

TEST_P(ShortScan, EqualsTheFullCircle) {
  const SliceGrid grid = SliceGrid::centred(96, 96, 100.0 / 96.0);
  const auto mean_error = [&](const at::Tensor& image, const at::Tensor& other) {
    return (image - other).abs().narrow(-2, 16, 64).narrow(-1, 16, 64).mean().item<double>();
  };
  const ScanGeometry whole = scan_over(360.0);
  const at::Tensor full = fbp(projections(whole), whole, grid, RampFilter::kHann);
  for (const double degrees : {212.0, 250.0, 300.0}) {
    ScanGeometry scan = scan_over(degrees);
    const at::Tensor image = fbp(projections(scan), scan, grid, RampFilter::kHann);
    EXPECT_LT(mean_error(image, full), 5e-4) << degrees << ", of 0.2 / cm";
    const at::Tensor filtered = filter_projections(projections(scan), scan, RampFilter::kHann);
    const at::Tensor unweighted = back_project_pixels(filtered, scan, grid, angle_weights(scan));
    EXPECT_GT(mean_error(2.0 * unweighted, full), 0.01) << degrees;
    EXPECT_GT(mean_error(unweighted * (360.0 / degrees), full), 0.002) << degrees;
    std::reverse(scan.angles_rad.begin(), scan.angles_rad.end());
    EXPECT_TRUE(near(fbp(projections(scan), scan, grid, RampFilter::kHann), image, 1e-5));
  }
}

TEST_P(ShortScan, GradientIsTheExactAdjoint) {
  const ScanGeometry scan = scan_over(230.0);
  const SliceGrid grid = SliceGrid::centred(45, 37, 1.7);
  const at::Tensor input = at::randn({2, 230, 200}).requires_grad_(true);
  const at::Tensor weight = at::randn({2, 45, 37});
  const at::Tensor image = fbp(input, scan, grid);
  image.backward(weight);
  EXPECT_LT(std::abs(inner_product(image, weight) - inner_product(input, input.grad())) /
                (two_norm(image) * two_norm(weight)),
            1e-6);
}

TEST_P(ShortScan, RefusesTooSmallAnArcAndTwoArcs) {
  const SliceGrid grid = SliceGrid::centred(8, 8, 10.0);
  const auto message = [&](const ScanGeometry& scan) {
    const auto angles = static_cast<std::int64_t>(scan.angles_rad.size());
    return testing::error_message("geometry", [&] {
      fbp(at::zeros({1, angles, 200}), scan, grid);
    });
  };
  EXPECT_NE(message(scan_over(200.0)).find("got 200.0 degrees in 1 piece"), std::string::npos);
  ScanGeometry scan = scan_over(300.0);
  scan.angles_rad.erase(scan.angles_rad.begin() + 100, scan.angles_rad.begin() + 120);
  EXPECT_NE(message(scan).find("got 280.0 degrees in 2 pieces"), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(Beams,
                         ShortScan,
                         ::testing::Values(Beam::kFanFlat, Beam::kFanCurved),
                         [](const auto& tested) { return testing::beam_name(tested.param); });

TEST(FilteredBackProjectionErrors, RefuseWhatHasNoSolution) {
  ScanGeometry scan = testing::covering_scan(Beam::kFanFlat, 40, 8);
  for (double& angle : scan.angles_rad) angle *= 0.5;
  const SliceGrid grid = SliceGrid::centred(8, 8, 10.0);
  EXPECT_EQ(testing::error_message("geometry",
                                   [&] {
                                     fbp(at::zeros({1, 40, 8}), scan, grid);
                                   }),
            "filtered back projection: a fan beam needs angles all around or, for this fan, over "
            "205.4 degrees in one piece, got 180.0 degrees in 1 piece");
  scan.angles_rad.pop_back();
  EXPECT_EQ(testing::error_message("data",
                                   [&] {
                                     fbp(at::zeros({1, 40, 8}), scan, grid);
                                   }),
            "projections: expected one angle for each of 40 projections, got 39 angles");
}

}  // namespace
}  // namespace triptych
