// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/noise_field.h"

#include <cmath>

#include <gtest/gtest.h>

namespace triptych {
namespace {

struct Moments {
  double mean = 0.0;
  double deviation = 0.0;
};

Moments moments_of(int count, auto value) {
  double sum = 0.0;
  double squares = 0.0;
  for (int i = 0; i < count; ++i) {
    const double v = value(i);
    sum += v;
    squares += v * v;
  }
  return {sum / count, std::sqrt(squares / count - sum / count * sum / count)};
}

TEST(NoiseField, HasAboutZeroMeanAndUnitVariance) {
  for (const int octaves : {1, 3}) {
    const NoiseField field(RandomStream(7), 0.3, octaves);
    RandomStream draw(1);
    const auto position = [&] { return static_cast<float>(draw.uniform(-60.0, 60.0)); };
    const Moments moments = moments_of(200000, [&](int) {
      return field.at({position(), position(), position()});
    });
    EXPECT_NEAR(moments.mean, 0.0, 0.02) << octaves;
    EXPECT_NEAR(moments.deviation, 1.0, 0.03) << octaves;
  }
}

TEST(NoiseField, IsSmoothOnTheScaleOfItsCell) {
  const NoiseField field(RandomStream(3), 1.0);
  for (int i = 0; i < 1000; ++i) {
    const float x = 0.037F * static_cast<float>(i);
    EXPECT_LT(std::abs(field.at({x + 1e-3F, 0.3F, -x}) - field.at({x, 0.3F, -x})), 0.02F);
  }
}

TEST(NoiseField, FollowsItsStreamAlone) {
  const Point3f position{0.4F, -1.7F, 2.2F};
  EXPECT_EQ(NoiseField(RandomStream(5), 0.5).at(position),
            NoiseField(RandomStream(5), 0.5).at(position));
  EXPECT_NE(NoiseField(RandomStream(5), 0.5).at(position),
            NoiseField(RandomStream(6), 0.5).at(position));
}

TEST(HashedNormal, IsStandardNormalInItsFirstMoments) {
  const Moments moments =
      moments_of(200000, [](int i) { return hashed_normal(99, static_cast<std::uint64_t>(i)); });
  EXPECT_NEAR(moments.mean, 0.0, 0.01);
  EXPECT_NEAR(moments.deviation, 1.0, 0.01);
}

TEST(RandomRotation, IsOrthonormalAndRightHanded) {
  RandomStream stream(2);
  const std::array<double, 9> m = random_rotation(stream);
  for (std::size_t a = 0; a < 3; ++a) {
    for (std::size_t b = 0; b < 3; ++b) {
      double dot = 0.0;
      for (std::size_t i = 0; i < 3; ++i) dot += m[3 * a + i] * m[3 * b + i];
      EXPECT_NEAR(dot, a == b ? 1.0 : 0.0, 1e-12);
    }
  }
  const double determinant = m[0] * (m[4] * m[8] - m[5] * m[7]) -
                             m[1] * (m[3] * m[8] - m[5] * m[6]) +
                             m[2] * (m[3] * m[7] - m[4] * m[6]);
  EXPECT_NEAR(determinant, 1.0, 1e-12);
}

}  // namespace
}  // namespace triptych
