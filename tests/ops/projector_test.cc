// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/projector.h"

#include "framework/core/parallel.h"
#include "framework/ops/joseph_tensors.h"

#include "tests/ops/ellipse_phantom.h"
#include "tests/support/tensor_matchers.h"

#include <algorithm>
#include <cmath>

#include <fmt/core.h>

namespace triptych {
namespace {

using Beam = ScanGeometry::Beam;
using testing::inner_product;
using testing::near;
using testing::two_norm;

/// Odd sizes, unequal pixels, and an axis beside the middle of both slice and detector.
struct AwkwardScan {
  explicit AwkwardScan(Beam beam) {
    scan = testing::covering_scan(beam, 29, kColumns);
    scan.centre_column = 30.3;
    grid = {45, 37, 1.7, 2.1, 20.4, 19.1};
  }
  static constexpr std::int64_t kColumns = 61;
  ScanGeometry scan;
  SliceGrid grid;
};

class Projector : public ::testing::TestWithParam<Beam> {};

TEST_P(Projector, BackProjectionIsTheExactAdjoint) {
  const AwkwardScan awkward(GetParam());
  double largest = 0.0;
  for (const std::int64_t slices : {1, 20, 40, 70}) {
    const at::Tensor x = at::randn({slices, 45, 37});
    const at::Tensor y = at::randn({slices, 29, AwkwardScan::kColumns});
    const at::Tensor ax = project(x, awkward.scan, AwkwardScan::kColumns, awkward.grid);
    const at::Tensor aty = back_project(y, awkward.scan, awkward.grid);
    const double error =
        std::abs(inner_product(ax, y) - inner_product(x, aty)) / (two_norm(ax) * two_norm(y));
    EXPECT_LT(error, 1e-6) << slices << " slices";
    largest = std::max(largest, error);
  }
  RecordProperty("largest_error", fmt::format("{:.1e}", largest));
}

TEST_P(Projector, KernelAgreesWithLibTorchOperators) {
  const AwkwardScan awkward(GetParam());
  const at::Tensor x = at::randn({19, 45, 37}, at::kDouble);
  const at::Tensor expected = project_tensors(x, awkward.scan, awkward.grid, AwkwardScan::kColumns);
  const at::Tensor actual =
      project(x.to(at::kFloat), awkward.scan, AwkwardScan::kColumns, awkward.grid);
  EXPECT_TRUE(near(actual, expected, 2e-6 * expected.abs().max().item<double>()));
  const at::Tensor y = at::randn({19, 29, AwkwardScan::kColumns}, at::kDouble);
  const at::Tensor expected_image = back_project_tensors(y, awkward.scan, awkward.grid);
  const at::Tensor image = back_project(y.to(at::kFloat), awkward.scan, awkward.grid);
  EXPECT_TRUE(near(image, expected_image, 2e-6 * expected_image.abs().max().item<double>()));
}

TEST_P(Projector, GivesTheLineIntegralsOfEllipses) {
  const ScanGeometry scan = testing::covering_scan(GetParam(), 24, 200);
  SliceGrid grid = SliceGrid::centred(200, 220, 0.5);
  grid.centre_row += 3.3;
  grid.centre_column -= 7.6;
  const at::Tensor image = testing::ellipse_image(grid).to(at::kFloat).unsqueeze(0);
  const at::Tensor actual = project(image, scan, 200, grid)[0];
  const at::Tensor expected = testing::ellipse_projections(scan, 200, 4);
  EXPECT_LT(two_norm(actual - expected) / two_norm(expected), 3e-3);
}

TEST_P(Projector, ResultsDoNotDependOnThreads) {
  const AwkwardScan awkward(GetParam());
  const at::Tensor x = at::randn({5, 45, 37}), y = at::randn({5, 29, AwkwardScan::kColumns});
  std::vector<at::Tensor> projections, images;
  for (const int threads : {1, 2, 3}) {
    set_num_threads(threads);
    projections.push_back(project(x, awkward.scan, AwkwardScan::kColumns, awkward.grid));
    images.push_back(back_project(y, awkward.scan, awkward.grid));
  }
  set_num_threads(1);
  for (const std::size_t i : {1, 2}) {
    EXPECT_TRUE(at::equal(projections[0], projections[i]));
    EXPECT_TRUE(at::equal(images[0], images[i]));
  }
}

TEST_P(Projector, GradientsMatchFiniteDifferencesAndEachOther) {
  ScanGeometry scan = testing::covering_scan(GetParam(), 4, 9);
  const SliceGrid grid = SliceGrid::centred(6, 5, 16.0);
  const at::Tensor x = at::randn({2, 6, 5}, at::kDouble).requires_grad_(true);
  const at::Tensor weight = at::randn({2, 4, 9}, at::kDouble);
  const auto value = [&](const at::Tensor& at_x) {
    return (project(at_x, scan, 9, grid).square() * weight).sum();
  };
  value(x).backward();
  const at::Tensor direction = at::randn({2, 6, 5}, at::kDouble), point = x.detach();
  const double step = 1e-4;
  const double difference =
      (value(point + step * direction) - value(point - step * direction)).item<double>() /
      (2.0 * step);
  EXPECT_NEAR(inner_product(x.grad(), direction), difference, 1e-7 * std::abs(difference));

  at::Tensor y = at::randn({2, 4, 9}).requires_grad_(true);
  const at::Tensor image = at::randn({2, 6, 5});
  back_project(y, scan, grid).backward(image);
  EXPECT_TRUE(at::equal(y.grad(), project(image, scan, 9, grid)));
}

INSTANTIATE_TEST_SUITE_P(Beams,
                         Projector,
                         ::testing::Values(Beam::kParallel, Beam::kFanFlat, Beam::kFanCurved),
                         [](const auto& tested) { return testing::beam_name(tested.param); });

TEST(ParallelProjector, AnglesTurnAsInScikitImage) {
  ScanGeometry scan;
  scan.angles_rad = {0.0, 0.5 * std::numbers::pi, std::numbers::pi};
  scan.centre_column = 5.0;
  at::Tensor image = at::zeros({1, 11, 11});
  image[0][2][7] = 1.0;
  const at::Tensor actual = project(image, scan, 11, SliceGrid::centred(11, 11));
  at::Tensor expected = at::zeros({1, 3, 11});
  expected[0][0][7] = 0.1;  // 1 / cm over 1 mm
  expected[0][1][8] = 0.1;
  expected[0][2][3] = 0.1;
  EXPECT_TRUE(near(actual, expected, 1e-7));
}

TEST(ParallelProjector, SourceFarAwayMakesAFanParallel) {
  ScanGeometry scan = testing::covering_scan(Beam::kParallel, 12, 40);
  const SliceGrid grid = SliceGrid::centred(40, 40, 2.0);
  const at::Tensor image = testing::ellipse_image(grid).unsqueeze(0);
  const at::Tensor expected = project(image, scan, 40, grid);
  for (const Beam beam : {Beam::kFanFlat, Beam::kFanCurved}) {
    scan.beam = beam;
    scan.source_to_axis_mm = scan.source_to_detector_mm = 1e9;
    EXPECT_TRUE(near(project(image, scan, 40, grid), expected, 1e-5));
  }
}

TEST(ParallelProjector, KeepsLeadingAxesAndTakesHalfPrecision) {
  const ScanGeometry scan = testing::covering_scan(Beam::kParallel, 3, 8);
  const SliceGrid grid = SliceGrid::centred(8, 8, 10.0);
  const at::Tensor image = at::rand({2, 1, 3, 8, 8}).to(at::kBFloat16);
  const at::Tensor projections = project(image, scan, 8, grid);
  EXPECT_EQ(projections.sizes(), (std::vector<std::int64_t>{2, 1, 3, 3, 8}));
  EXPECT_EQ(projections.scalar_type(), at::kFloat);
  EXPECT_TRUE(at::equal(projections, project(image.to(at::kFloat), scan, 8, grid)));
}

TEST(ParallelProjector, RowsOfAViewKeepTheMass) {
  // Each row is sampled once a ray, so rays one pixel apart along the columns see it all.
  ScanGeometry scan;
  scan.angles_rad = {0.3};
  scan.column_spacing_mm = std::cos(0.3);
  scan.centre_column = 30.0;
  const at::Tensor image = at::rand({1, 17, 17}, at::kDouble);
  const double length_cm = 0.1 / std::cos(0.3);
  const double sum = project(image, scan, 61, SliceGrid::centred(17, 17)).sum().item<double>();
  EXPECT_NEAR(sum, image.sum().item<double>() * length_cm, 1e-9);
}

TEST(ProjectorErrors, NameWhatDoesNotFit) {
  ScanGeometry scan = testing::covering_scan(Beam::kFanFlat, 5, 8);
  const SliceGrid grid = SliceGrid::centred(8, 8, 10.0);
  const auto message = [&](const char* category, auto body) {
    return testing::error_message(category, body);
  };
  EXPECT_EQ(message("data",
                    [&] {
                      back_project(at::zeros({1, 4, 8}), scan, grid);
                    }),
            "projections: expected one angle for each of 4 projections, got 5 angles");
  EXPECT_EQ(message("shape",
                    [&] {
                      back_project(at::zeros({5, 8}), scan, grid);
                    }),
            "projections: expected shape [..., D, A, W], got 2 axes");
  EXPECT_EQ(message("shape",
                    [&] {
                      project(at::zeros({1, 8, 9}), scan, 8, grid);
                    }),
            "image to project: expected floating-point values of shape [..., D, 8, 8], got "
            "[1, 8, 9] of Float");
  EXPECT_EQ(message("geometry",
                    [&] {
                      project(at::zeros({1, 80, 80}), scan, 8, SliceGrid::centred(80, 80, 10.0));
                    }),
            "slices: the source must turn outside them, expected source_to_axis_mm over 572.8, "
            "got 210");
  scan.source_to_detector_mm = 100.0;
  EXPECT_EQ(message("geometry",
                    [&] {
                      project(at::zeros({1, 8, 8}), scan, 8, grid);
                    }),
            "scan geometry: the detector must lie beyond the rotation axis, got "
            "source_to_detector_mm 100 and source_to_axis_mm 210");
  scan = testing::covering_scan(Beam::kFanCurved, 5, 8);
  scan.column_spacing_mm = 150.0;
  EXPECT_EQ(message("geometry",
                    [&] {
                      project(at::zeros({1, 8, 8}), scan, 8, grid);
                    }),
            "scan geometry: a fan must open less than 90 degrees to either side, got 91.2");
  scan.angles_rad[3] = std::nan("");
  EXPECT_EQ(message("data",
                    [&] {
                      project(at::zeros({1, 8, 8}), scan, 8, grid);
                    }),
            "projections: angle 3 is not a number");
  Geometry unknown;
  unknown.spacing_known = false;
  EXPECT_EQ(message("geometry", [&] { slice_grid_of(unknown); }),
            "slices to reconstruct: the spacing is unknown, expected millimetres");
}

}  // namespace
}  // namespace triptych
