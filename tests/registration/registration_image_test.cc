// SPDX-License-Identifier: Apache-2.0
#include "framework/registration/registration_image.h"

#include "framework/core/error.h"

#include <limits>

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {

Volume ramp(std::int64_t channels) {
  Volume volume;
  volume.geometry.shape = {2, 4, 6};
  volume.data = at::arange(channels * 48, at::kFloat).view({channels, 2, 4, 6});
  return volume;
}

TEST(RegistrationImage, TakesTheLuminanceOfRgb) {
  const Volume volume = ramp(3);
  const at::Tensor grey = registration_image(volume, std::nullopt, "fixed").values;
  EXPECT_EQ(grey.sizes(), (at::IntArrayRef{1, 1, 2, 4, 6}));
  EXPECT_NEAR(grey.min().item<double>(), 0.587 * 48 + 0.114 * 96, 1e-4);
}

TEST(RegistrationImage, RefusesWhatCannotBeAligned) {
  EXPECT_THROW(registration_image(ramp(2), std::nullopt, "fixed"), Error);
  Volume broken = ramp(1);
  broken.data[0][0][0][0] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THROW(registration_image(broken, std::nullopt, "fixed"), Error);
  Volume constant = ramp(1);
  constant.data.fill_(3.0F);
  EXPECT_THROW(registration_image(constant, std::nullopt, "fixed"), Error);
  Volume empty = ramp(1);
  empty.data.zero_();
  EXPECT_THROW(registration_image(ramp(1), empty, "fixed"), Error);
}

TEST(RegistrationImage, CoarserKeepsTheFieldOfView) {
  const RegistrationImage image = registration_image(ramp(1), std::nullopt, "fixed");
  const RegistrationImage half = coarser(image, {2.0, 2.0, 2.0});
  EXPECT_EQ(half.geometry.shape, (Index3{1, 2, 3}));
  EXPECT_NEAR(half.values.mean().item<double>(), image.values.mean().item<double>(), 0.5);
  EXPECT_TRUE(coarser(image, {0.5, 1.0, 1.0}).values.is_same(image.values));
}

TEST(RegistrationImage, CoarserCountsPixelsWhereTheSpacingIsUnknown) {
  Volume volume = ramp(1);
  volume.geometry.spacing_known = false;
  const RegistrationImage half =
      coarser(registration_image(volume, std::nullopt, "fixed"), {2.0, 2.0, 2.0});
  EXPECT_EQ(half.geometry.shape, (Index3{1, 2, 3}));
  EXPECT_FALSE(half.geometry.spacing_known);
}

}  // namespace
}  // namespace triptych
