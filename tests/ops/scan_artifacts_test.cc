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

TEST(BeamErrors, LeaveTheImageAloneWhenThereAreNone) {
  ScalarGrid image = disc(2, 32);
  const std::vector<float> before = image.values;
  BeamErrors none;
  none.noise = 0.0;
  none.hardening = 0.0;
  add_beam_errors(image, {}, none, RandomStream(1));
  EXPECT_EQ(image.values, before);
}

TEST(BeamErrors, HardeningCupsADenseDisc) {
  ScalarGrid image = disc(1, 64);
  BeamErrors hard;
  hard.noise = 0.0;
  hard.hardening = 0.1;
  add_beam_errors(image, {}, hard, RandomStream(1));
  EXPECT_LT(value(image, 0, 32, 32), value(image, 0, 32, 32 + 20) - 0.05);
  EXPECT_NEAR(value(image, 0, 32, 32), 1.0, 0.3) << "calibration keeps the grey value roughly";
}

TEST(BeamErrors, NoiseHasTheDeviationAskedForInAir) {
  ScalarGrid image = disc(8, 64);
  std::fill(image.values.begin(), image.values.end(), 0.0F);
  BeamErrors noisy;
  noisy.noise = 0.05;
  noisy.hardening = 0.0;
  add_beam_errors(image, {}, noisy, RandomStream(1));
  double squares = 0.0;
  int count = 0;
  for (std::int64_t d = 0; d < 8; ++d) {
    for (std::int64_t h = 20; h < 44; ++h) {
      for (std::int64_t w = 20; w < 44; ++w, ++count) squares += std::pow(value(image, d, h, w), 2);
    }
  }
  EXPECT_NEAR(std::sqrt(squares / count), 0.05, 0.01);
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
    BeamErrors errors;
    add_beam_errors(image, image.values, errors, RandomStream(1));
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
