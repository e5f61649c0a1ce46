// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/scan_artifacts.h"

#include "framework/core/parallel.h"

#include <cmath>

#include <gtest/gtest.h>

namespace triptych {
namespace {

ScalarGrid disc(std::int64_t planes, std::int64_t size) {
  ScalarGrid image;
  image.geometry.shape = {planes, size, size};
  image.values.resize(static_cast<std::size_t>(image.geometry.voxels()));
  const double centre = 0.5 * static_cast<double>(size - 1);
  for_each_row(image.geometry, [&](const GridRow& row) {
    for (std::int64_t w = 0; w < row.length; ++w) {
      const double r =
          std::hypot(static_cast<double>(row.line) - centre, static_cast<double>(w) - centre);
      image.values[row.offset + w] = r < 0.4 * static_cast<double>(size) ? 1.0F : 0.0F;
    }
  });
  return image;
}

double value(const ScalarGrid& image, std::int64_t d, std::int64_t h, std::int64_t w) {
  return image.values[(d * image.geometry.shape[1] + h) * image.geometry.shape[2] + w];
}

TEST(ScanArtifacts, RingsAreConcentricAboutTheFirstAxis) {
  ScalarGrid image = disc(2, 33);
  std::fill(image.values.begin(), image.values.end(), 0.0F);
  add_rings(image, 0.1, RandomStream(3));
  for (std::int64_t r = 0; r <= 16; ++r) {
    EXPECT_NEAR(value(image, 0, 16, 16 + r), value(image, 0, 16 - r, 16), 1e-6);
    EXPECT_NEAR(value(image, 0, 16, 16 + r), value(image, 0, 16 + r, 16), 1e-6);
  }
  EXPECT_NE(value(image, 0, 16, 20), value(image, 1, 16, 20));
}

TEST(ScanArtifacts, RicianNoiseOfNoSignalHasTheMeanOfARayleighDistribution) {
  ScalarGrid image = disc(8, 32);
  std::fill(image.values.begin(), image.values.end(), 0.0F);
  make_rician(image, 0.1, RandomStream(3));
  double sum = 0.0;
  for (const float v : image.values) sum += v;
  EXPECT_NEAR(sum / static_cast<double>(image.values.size()),
              0.1 * std::sqrt(std::acos(-1.0) / 2.0),
              0.002);
}

TEST(ScanArtifacts, DoNotDependOnTheNumberOfThreads) {
  const auto corrupted = [](int threads) {
    set_num_threads(threads);
    ScalarGrid image = disc(3, 32);
    add_rings(image, 0.1, RandomStream(2));
    apply_bias_field(image, 0.3, RandomStream(3));
    make_rician(image, 0.1, RandomStream(4));
    add_white_noise(image, 0.1, RandomStream(5));
    return image.values;
  };
  EXPECT_EQ(corrupted(1), corrupted(3));
}

}  // namespace
}  // namespace triptych
