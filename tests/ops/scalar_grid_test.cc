// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/scalar_grid.h"

#include "framework/core/parallel.h"

#include <cmath>

#include <gtest/gtest.h>

namespace triptych {
namespace {

Geometry grid(const Index3& shape, const Eigen::Vector3d& spacing) {
  Geometry geometry;
  geometry.shape = shape;
  geometry.spacing = spacing;
  geometry.origin = {-1.0, 2.0, 0.5};
  return geometry;
}

ScalarGrid ramp(const Geometry& geometry) {
  ScalarGrid result{geometry, std::vector<float>(static_cast<std::size_t>(geometry.voxels()))};
  for_each_row(geometry, [&](const GridRow& row) {
    for (std::int64_t w = 0; w < row.length; ++w) {
      const Point3f p = row.at(w);
      result.values[row.offset + w] = 2.0F * p.x - p.y + 0.5F * p.z;
    }
  });
  return result;
}

TEST(ScalarGrid, RowsKnowWhereTheyLie) {
  const Geometry geometry = grid({3, 4, 5}, {0.5, 1.0, 2.0});
  for_each_row(geometry, [&](const GridRow& row) {
    const Point3f p = row.at(3);
    EXPECT_FLOAT_EQ(p.x, 0.5F);
    EXPECT_FLOAT_EQ(p.y, 2.0F + static_cast<float>(row.line));
    EXPECT_FLOAT_EQ(p.z, 0.5F + 2.0F * static_cast<float>(row.plane));
    EXPECT_EQ(row.offset, (row.plane * 4 + row.line) * 5);
  });
}

TEST(ScalarGrid, LinearSamplingReproducesARamp) {
  const Geometry fine = grid({12, 10, 9}, {0.5, 0.5, 0.5});
  Geometry coarse = fine.resampled_to({1.3, 1.0, 1.5});
  coarse.shape = {3, 4, 2};  // inside, where nothing is repeated
  const ScalarGrid sampled = sample_linear(ramp(fine), coarse);
  const ScalarGrid expected = ramp(coarse);
  for (std::size_t i = 0; i < expected.values.size(); ++i) {
    EXPECT_NEAR(sampled.values[i], expected.values[i], 1e-5);
  }
}

TEST(ScalarGrid, NearestIndicesOfTheSameGridAreItsVoxels) {
  const Geometry geometry = grid({3, 4, 5}, {0.5, 1.0, 2.0});
  const auto indices = nearest_indices(geometry, geometry);
  EXPECT_EQ(indices[0], (std::vector<std::int64_t>{0, 1, 2}));
  EXPECT_EQ(indices[1], (std::vector<std::int64_t>{0, 1, 2, 3}));
  EXPECT_EQ(indices[2], (std::vector<std::int64_t>{0, 1, 2, 3, 4}));
  const auto coarse = nearest_indices(geometry, geometry.resampled_to({1.5, 1.0, 6.0}));
  EXPECT_EQ(coarse[0], (std::vector<std::int64_t>{1}));
  EXPECT_EQ(coarse[2], (std::vector<std::int64_t>{1, 4}));
}

TEST(ScalarGrid, BlurSpreadsAPointByItsDeviation) {
  ScalarGrid image{grid({21, 21, 21}, {1.0, 1.0, 1.0}), std::vector<float>(21 * 21 * 21)};
  image.values[(10 * 21 + 10) * 21 + 10] = 1.0F;
  blur(image, {1.0, 1.5, 2.0});
  std::array<double, 3> variance{};
  double sum = 0.0;
  for (int d = 0; d < 21; ++d) {
    for (int h = 0; h < 21; ++h) {
      for (int w = 0; w < 21; ++w) {
        const double value = image.values[(d * 21 + h) * 21 + w];
        sum += value;
        variance[0] += value * (d - 10) * (d - 10);
        variance[1] += value * (h - 10) * (h - 10);
        variance[2] += value * (w - 10) * (w - 10);
      }
    }
  }
  EXPECT_NEAR(sum, 1.0, 1e-5);
  EXPECT_NEAR(std::sqrt(variance[0]), 1.0, 0.03);
  EXPECT_NEAR(std::sqrt(variance[1]), 1.5, 0.03);
  EXPECT_NEAR(std::sqrt(variance[2]), 2.0, 0.05);
}

TEST(ScalarGrid, EdgeEnhancementLeavesRampsAndOvershootsSteps) {
  ScalarGrid image = ramp(grid({6, 6, 6}, {1.0, 1.0, 1.0}));
  const float before = image.values[(3 * 6 + 3) * 6 + 3];
  enhance_edges(image, 0.5);
  EXPECT_NEAR(image.values[(3 * 6 + 3) * 6 + 3], before, 1e-5);

  ScalarGrid step{grid({1, 1, 8}, {1.0, 1.0, 1.0}), {0, 0, 0, 0, 1, 1, 1, 1}};
  enhance_edges(step, 0.5);
  EXPECT_FLOAT_EQ(step.values[3], -0.5F);
  EXPECT_FLOAT_EQ(step.values[4], 1.5F);
  EXPECT_FLOAT_EQ(step.values[0], 0.0F);
}

}  // namespace
}  // namespace triptych
