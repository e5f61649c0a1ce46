// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/scan_views.h"

#include "framework/core/error.h"
#include "framework/ops/filtered_back_projection.h"

#include "tests/support/reconstruction_batch.h"
#include "tests/support/tensor_matchers.h"

#include <numbers>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {

using ::testing::DoubleNear;
using testing::error_message;
using ::testing::HasSubstr;
using ::testing::Pointwise;

ScanGeometry scan_of(std::vector<double> degrees) {
  ScanGeometry scan;
  scan.centre_column = 23.0;
  for (const double angle : degrees) scan.angles_rad.push_back(angle / 180.0 * std::numbers::pi);
  return scan;
}

std::vector<double> degrees_of(const ScanGeometry& scan) {
  std::vector<double> degrees;
  for (const double angle : scan.angles_rad) degrees.push_back(angle * 180.0 / std::numbers::pi);
  return degrees;
}

const SliceGrid kGrid = SliceGrid::centred(32, 32);

TEST(ViewsBetween, FillEveryGapAndTheOneUpToTheHalfTurn) {
  const at::Tensor image = testing::disc_with_metal(false)[0][0];
  const ScanGeometry scan = scan_of({0.0, 60.0, 120.0});
  const at::Tensor measured = project(image, scan, 47, kGrid) + 1.0;
  const ViewsOfScan all = with_views_between({measured, scan}, image, 2, kGrid);
  EXPECT_THAT(
      degrees_of(all.scan),
      Pointwise(DoubleNear(1e-9), {0.0, 60.0, 120.0, 20.0, 40.0, 80.0, 100.0, 140.0, 160.0}));
  EXPECT_TRUE(at::equal(all.projections.narrow(-2, 0, 3), measured));
  const at::Tensor between = project(image, scan_of({80.0}), 47, kGrid);
  EXPECT_TRUE(testing::near(all.projections.narrow(-2, 5, 1), between, 1e-5));
}

TEST(ViewsBetween, StayWithinTheHalfTurn) {
  const at::Tensor image = testing::disc_with_metal(false)[0][0];
  const ScanGeometry scan = scan_of({0.0, 90.0, 180.0});
  const ViewsOfScan all =
      with_views_between({project(image, scan, 47, kGrid), scan}, image, 1, kGrid);
  EXPECT_THAT(degrees_of(all.scan), Pointwise(DoubleNear(1e-9), {0.0, 90.0, 180.0, 45.0, 135.0}));
}

TEST(ViewsBetween, OfTheTruthMakeTheScanOfManyViews) {
  const at::Tensor image = testing::disc_with_metal(false)[0][0];
  std::vector<double> few, many;
  for (int view = 0; view < 72; ++view) (view % 6 == 0 ? few : many).push_back(2.5 * view);
  const at::Tensor measured = project(image, scan_of(few), 47, kGrid);
  const ViewsOfScan all = with_views_between({measured, scan_of(few)}, image, 5, kGrid);
  many.insert(many.end(), few.begin(), few.end());
  const at::Tensor expected = fbp(project(image, scan_of(many), 47, kGrid), scan_of(many), kGrid);
  EXPECT_TRUE(testing::near(fbp(all.projections, all.scan, kGrid), expected, 1e-5));
}

TEST(ViewsBetween, NeedTwoViews) {
  const ScanGeometry scan = scan_of({0.0});
  EXPECT_THAT(
      error_message(
          "usage",
          [&] {
            with_views_between({at::zeros({1, 1, 47}), scan}, at::zeros({1, 32, 32}), 1, kGrid);
          }),
      HasSubstr("at least 1 between at least 2"));
}

}  // namespace
}  // namespace triptych
