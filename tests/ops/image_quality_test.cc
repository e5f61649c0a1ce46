// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/image_quality.h"

#include "framework/core/parallel.h"

#include "tests/support/tensor_matchers.h"

#include <cmath>
#include <limits>
#include <numbers>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {

/// Image [D, H, W].
ImageQuality quality_of(const at::Tensor& image) {
  Volume volume{image.unsqueeze(0), {}, "", {}};
  volume.geometry.shape = {image.size(0), image.size(1), image.size(2)};
  return image_quality(source_of(volume));
}

/// A wave of angular frequency `k` along x, amplitude 1, [4, 96, 96].
at::Tensor wave(double k) {
  return at::sin(k * at::arange(96, at::kFloat)).expand({4, 96, 96}).contiguous();
}

/// A step of height 1 at half the width, [4, 96, 96].
at::Tensor step() {
  at::Tensor image = at::zeros({4, 96, 96});
  image.narrow(2, 48, 48).fill_(1.0);
  return image;
}

TEST(ImageQuality, FindsTheNoiseOnPlanesAndSteps) {
  const at::Tensor ramp =
      0.05 * at::arange(96, at::kFloat).view({1, 1, 96}) + at::arange(96, at::kFloat).view({96, 1});
  for (const double sigma : {0.01, 0.2}) {
    const at::Tensor noise = sigma * at::randn({4, 96, 96});
    EXPECT_NEAR(quality_of(noise).noise, sigma, 0.03 * sigma);
    EXPECT_NEAR(quality_of(ramp + noise).noise, sigma, 0.03 * sigma);
    EXPECT_NEAR(quality_of(step() + noise).noise, sigma, 0.05 * sigma);
  }
}

TEST(ImageQuality, FindsTheFrequencyOfAWaveUnderNoise) {
  const double k = 2.0 * std::numbers::pi / 24.0;
  EXPECT_NEAR(quality_of(wave(k)).sharpness, std::sin(k), 0.01 * std::sin(k));
  const at::Tensor noisy = wave(k) + 0.1 * at::randn({4, 96, 96});
  EXPECT_NEAR(quality_of(noisy).sharpness, std::sin(k), 0.03 * std::sin(k));
  EXPECT_NEAR(quality_of(7.0 * wave(k) + 3.0).sharpness, quality_of(wave(k)).sharpness, 1e-5);
}

TEST(ImageQuality, FallsWithBlur) {
  const at::Tensor blurred = at::avg_pool2d(step(), {5, 5}, {1, 1}, {2, 2}, false, false);
  EXPECT_LT(quality_of(blurred).sharpness, 0.7 * quality_of(step()).sharpness);
}

TEST(ImageQuality, GivesContrastOverNoise) {
  EXPECT_NEAR(quality_of(step() + 0.05 * at::randn({4, 96, 96})).contrast_to_noise, 20.0, 1.5);
  EXPECT_TRUE(std::isinf(quality_of(step()).contrast_to_noise));
  EXPECT_TRUE(std::isnan(quality_of(at::ones({1, 9, 9})).contrast_to_noise));
}

TEST(ImageQuality, CountsTheBitsOfTheHistogram) {
  EXPECT_DOUBLE_EQ(quality_of(step()).entropy, 1.0);
  const at::Tensor levels = at::arange(256, at::kFloat).view({1, 16, 16});
  EXPECT_DOUBLE_EQ(quality_of(levels).entropy, 8.0);
}

TEST(ImageQuality, TellsStreaksFromNoise) {
  EXPECT_NEAR(quality_of(wave(0.9)).streak_index, 1.0, 1e-6);
  const at::Tensor noise = at::randn({4, 96, 96});
  const double isotropic = quality_of(noise).streak_index;
  EXPECT_LT(isotropic, 0.2);
  EXPECT_GT(quality_of(noise + 2.0 * wave(0.9)).streak_index, 2.0 * isotropic);
}

TEST(ImageQuality, DependsNeitherOnThreadsNorOnSlabs) {
  const at::Tensor image = at::randn({5, 1100, 1100});  // more than one slab
  set_num_threads(1);
  const ImageQuality once = quality_of(image);
  set_num_threads(3);
  const ImageQuality again = quality_of(image);
  EXPECT_EQ(again.noise, once.noise);
  EXPECT_EQ(again.sharpness, once.sharpness);
  EXPECT_EQ(again.streak_index, once.streak_index);
  EXPECT_EQ(again.contrast_to_noise, once.contrast_to_noise);
  EXPECT_EQ(again.entropy, once.entropy);
  EXPECT_NEAR(once.standard_deviation, 1.0, 0.01);
}

TEST(ImageQuality, RefusesWhatCannotBeMeasured) {
  EXPECT_EQ(testing::error_message("data",
                                   [] {
                                     quality_of(at::ones({4, 2, 9}));
                                   }),
            "image quality: expected slices of at least 3 x 3 pixels, got 2 x 9");
  at::Tensor image = at::ones({1, 5, 5});
  image[0][2][2] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(testing::error_message("data", [&] { quality_of(image); }),
            "image quality: expected finite grey values, got NaN or infinite ones");
}

}  // namespace
}  // namespace triptych
