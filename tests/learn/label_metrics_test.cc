// SPDX-License-Identifier: Apache-2.0
#include "framework/learn/label_metrics.h"

#include "tests/support/tensor_matchers.h"

#include <cmath>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {

at::Tensor labels(std::initializer_list<std::int64_t> values) {
  return at::tensor(std::vector<std::int64_t>(values));
}

TEST(ConfusionMatrix, GivesTheTextbookValues) {
  ConfusionMatrix matrix(3);
  matrix.add(labels({0, 1, 1, 2, 0, 1}), labels({0, 1, 2, 2, 1, 1}));
  EXPECT_DOUBLE_EQ(matrix.iou(1), 2.0 / 4.0);
  EXPECT_DOUBLE_EQ(matrix.dice(1), 4.0 / 6.0);
  EXPECT_DOUBLE_EQ(matrix.precision(2), 1.0);
  EXPECT_DOUBLE_EQ(matrix.recall(2), 0.5);
  EXPECT_DOUBLE_EQ(matrix.accuracy(), 4.0 / 6.0);
  EXPECT_DOUBLE_EQ(matrix.foreground_mean(&ConfusionMatrix::iou), 0.5 * (0.5 + 0.5));
}

TEST(ConfusionMatrix, IgnoresNegativeReferencesAndLeavesAbsentClassesOut) {
  ConfusionMatrix matrix(3);
  matrix.add(labels({1, 2, 0}), labels({1, -1, 0}));
  EXPECT_EQ(matrix.total(), 2);
  EXPECT_TRUE(std::isnan(matrix.iou(2)));
  EXPECT_DOUBLE_EQ(matrix.foreground_mean(&ConfusionMatrix::iou), 1.0);
}

TEST(ConfusionMatrix, CountsMoreVoxelsThanItConvertsAtATime) {
  constexpr std::int64_t kVoxels = (std::int64_t{1} << 22) + 5;
  at::Tensor reference = at::zeros({1, 1, 1, kVoxels}, at::kByte);
  reference[0][0][0][kVoxels - 1] = 1;
  ConfusionMatrix matrix(2);
  matrix.add(reference, reference);
  EXPECT_EQ(matrix.count(0, 0), kVoxels - 1);
  EXPECT_EQ(matrix.count(1, 1), 1);
}

TEST(ConfusionMatrix, RefusesLabelsOutOfRange) {
  ConfusionMatrix matrix(2);
  EXPECT_NE(testing::error_message("data", [&] { matrix.add(labels({2}), labels({0})); })
                .find("expected labels 0 to 1"),
            std::string::npos);
}

TEST(ConfusionMatrix, StatesTheTrivialPredictorsJaccard) {
  ConfusionMatrix matrix(4);
  matrix.add(labels({0, 0, 0, 0}), labels({0, 0, 0, 1}));
  EXPECT_DOUBLE_EQ(matrix.uniform_j2(), 0.25);
  EXPECT_DOUBLE_EQ(matrix.majority_j2(), 3.0 / 5.0);
}

TEST(SurfaceDistance, OfShiftedCubesIsTheShiftInMm) {
  at::Tensor a = at::zeros({20, 20, 20}, at::kBool);
  at::Tensor b = at::zeros({20, 20, 20}, at::kBool);
  a.slice(0, 5, 12).slice(1, 5, 12).slice(2, 5, 12).fill_(true);
  b.slice(0, 8, 15).slice(1, 5, 12).slice(2, 5, 12).fill_(true);
  Geometry geometry;
  geometry.shape = {20, 20, 20};
  geometry.spacing = {1.0, 1.0, 0.5};
  const SurfaceDistance distance = surface_distance(a, b, geometry);
  EXPECT_NEAR(distance.hd95, 1.5, 1e-6);
  EXPECT_GT(distance.average, 0.0);
  EXPECT_LT(distance.average, 1.5);
}

TEST(SurfaceDistance, IsZeroForEqualAndUndefinedForOneEmptyMask) {
  const at::Tensor empty = at::zeros({4, 4, 4}, at::kBool);
  at::Tensor one = empty.clone();
  one[1][2][3] = true;
  Geometry geometry;
  geometry.shape = {4, 4, 4};
  EXPECT_EQ(surface_distance(one, one, geometry).hd95, 0.0);
  EXPECT_EQ(surface_distance(empty, empty, geometry).average, 0.0);
  EXPECT_TRUE(std::isnan(surface_distance(one, empty, geometry).hd95));
}

TEST(SurfaceDistance, MatchesBruteForceOnRandomMasks) {
  Geometry geometry;
  geometry.shape = {6, 7, 8};
  geometry.spacing = {0.7, 1.1, 1.9};
  const at::Tensor a = at::rand({6, 7, 8}) > 0.8;
  const at::Tensor b = at::rand({6, 7, 8}) > 0.8;
  const auto points =
      [&](const at::Tensor& mask) {  // nearly every voxel of a sparse mask is a surface voxel
        const at::Tensor scale = at::tensor({1.9, 1.1, 0.7}, at::kDouble);
        at::Tensor inner = mask.clone();
        for (int axis = 0; axis < 3; ++axis) {
          const at::Tensor padded =
              at::constant_pad_nd(mask,
                                  axis == 2   ? std::vector<std::int64_t>{1, 1}
                                  : axis == 1 ? std::vector<std::int64_t>{0, 0, 1, 1}
                                              : std::vector<std::int64_t>{0, 0, 0, 0, 1, 1},
                                  false);
          inner = inner.logical_and(padded.narrow(axis, 0, mask.size(axis)))
                      .logical_and(padded.narrow(axis, 2, mask.size(axis)));
        }
        return mask.logical_and(inner.logical_not()).nonzero().to(at::kDouble) * scale;
      };
  const at::Tensor distances = at::cdist(points(a), points(b));
  const at::Tensor pooled = at::cat({std::get<0>(distances.min(1)), std::get<0>(distances.min(0))});
  EXPECT_NEAR(surface_distance(a, b, geometry).average, pooled.mean().item<double>(), 1e-5);
}

}  // namespace
}  // namespace triptych
