// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/screw_shape.h"

#include <cmath>
#include <numbers>

#include <gtest/gtest.h>

namespace triptych {
namespace {

constexpr double kPi = std::numbers::pi;

struct Measured {
  double volume = 0.0;
  double surface = 0.0;
};

// Volume by counting, surface as the volume of a thin shell |distance| < width over its thickness.
Measured measure(const ScrewShape& screw, double step, double width) {
  const ScrewDimensions& d = screw.dimensions();
  const double margin = 3.0 * width;
  const auto across = static_cast<int>((d.head_radius + margin) / step) + 1;
  const auto up = static_cast<int>((d.length + 2.0 * margin) / step) + 1;
  Measured result;
  for (int k = 0; k < up; ++k) {
    for (int j = -across; j <= across; ++j) {
      for (int i = -across; i <= across; ++i) {
        const auto at = [&](double index) { return static_cast<float>(index * step); };
        const float distance =
            screw.distance({at(i + 0.37), at(j + 0.21), at(k + 0.5) - static_cast<float>(margin)});
        result.volume += distance < 0.0F ? 1.0 : 0.0;
        result.surface += std::abs(distance) < width ? 1.0 : 0.0;
      }
    }
  }
  const double voxel = step * step * step;
  return {result.volume * voxel, result.surface * voxel / (2.0 * width)};
}

TEST(ScrewShape, QuadratureAgreesWithItsDistanceFunction) {
  const ScrewShape screw(ScrewDimensions{});
  const Measured measured = measure(screw, 0.03, 0.045);
  EXPECT_NEAR(screw.volume_mm3() / measured.volume, 1.0, 0.005);
  EXPECT_NEAR(screw.surface_mm2() / measured.surface, 1.0, 0.03);
}

TEST(ScrewShape, ApproachesACylinderWhenThreadAndHeadVanish) {
  ScrewDimensions d;
  d.length = 40.0;
  d.major_radius = 1.0001;
  d.minor_radius = 1.0;
  d.head_radius = 1.001;
  d.socket_radius = 1e-3;
  d.tip_length = 1e-3;
  const ScrewShape rod(d);
  EXPECT_NEAR(rod.volume_mm3(), kPi * d.length, 0.005 * kPi * d.length);
  EXPECT_NEAR(rod.surface_mm2(), 2.0 * kPi * (d.length + 1.0), 0.01 * 2.0 * kPi * d.length);
}

TEST(ScrewShape, TurnsWithItsPitchAsARightHandedHelix) {
  const ScrewShape screw(ScrewDimensions{});
  const double pitch = screw.dimensions().pitch;
  for (const double angle : {0.0, 0.7, 2.1, -1.3}) {
    const double z = 1.6 + pitch * angle / (2.0 * kPi);
    const Point3f turned{static_cast<float>(std::cos(angle)),
                         static_cast<float>(std::sin(angle)),
                         static_cast<float>(z)};
    EXPECT_NEAR(screw.distance(turned), screw.distance({1.0F, 0.0F, 1.6F}), 1e-4);
  }
}

TEST(ScrewShape, DistanceGrowsByOneMillimetreAMillimetre) {
  const ScrewShape screw(ScrewDimensions{});
  // Along rays into the core, away from edges and corners of the profile.
  EXPECT_NEAR(screw.distance({0.5F, 0.0F, 1.6F}) - screw.distance({0.4F, 0.0F, 1.6F}), 0.1, 0.02);
  EXPECT_NEAR(screw.distance({3.0F, 0.0F, 1.6F}) - screw.distance({2.5F, 0.0F, 1.6F}), 0.5, 0.05);
  EXPECT_GT(screw.distance({0.0F, 0.0F, 3.9F}), 0.0F) << "the socket is open";
  EXPECT_LT(screw.distance({0.0F, 0.0F, 3.4F}), -0.1F) << "the neck has no inner surface";
}

}  // namespace
}  // namespace triptych
