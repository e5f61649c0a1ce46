// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/implant_scene.h"

#include "framework/core/parallel.h"

#include <gtest/gtest.h>

namespace triptych {
namespace {

constexpr double kFieldOfView = 0.32;

Geometry cube(std::int64_t size) {
  Geometry grid;
  grid.shape = {size, size, size};
  grid.spacing.setConstant(kFieldOfView / static_cast<double>(size));
  grid.origin.setConstant(-0.5 * kFieldOfView * (1.0 - 1.0 / static_cast<double>(size)));
  return grid;
}

ImplantScene scene(std::uint64_t seed) {
  return {SceneOptions{}, kFieldOfView, RandomStream(seed)};
}

std::array<double, 4> fractions(const TissueGrid& sample) {
  std::array<double, 4> result{};
  for (const std::uint8_t tissue : sample.tissue) {
    result[static_cast<std::size_t>(label_of(static_cast<Tissue>(tissue)))] +=
        1.0 / static_cast<double>(sample.tissue.size());
  }
  return result;
}

TEST(ImplantScene, HasAllClassesInPlausibleParts) {
  for (std::uint64_t seed = 0; seed < 6; ++seed) {
    const std::array<double, 4> part = fractions(scene(seed).sample(cube(48), 1.0));
    EXPECT_GT(part[0], 0.35) << seed;
    EXPECT_GT(part[1], 0.12) << seed;
    EXPECT_GT(part[2], 0.04) << seed;
    EXPECT_GT(part[3], 0.015) << seed;
  }
}

TEST(ImplantScene, VoxelsOfTheImplantAddUpToItsInitialVolume) {
  const ImplantScene s = scene(3);
  const std::array<double, 4> part = fractions(s.sample(cube(96), 1.0));
  const double volume = (part[2] + part[3]) * kFieldOfView * kFieldOfView * kFieldOfView;
  EXPECT_NEAR(volume / s.screw().volume_mm3(), 1.0, 0.01);
}

TEST(ImplantScene, TheDegradationLayerLiesBetweenResidualMaterialAndTheOriginalSurface) {
  const TissueGrid sample = scene(1).sample(cube(64), 1.0);
  const double least_depth = 0.3 * SceneOptions{}.degradation * kFieldOfView;
  for (std::size_t i = 0; i < sample.tissue.size(); ++i) {
    const std::int64_t label = label_of(static_cast<Tissue>(sample.tissue[i]));
    if (label >= 2) {
      ASSERT_LT(sample.implant_distance[i], 0.0F);
    }
    if (label < 2) {
      ASSERT_GE(sample.implant_distance[i], 0.0F);
    }
    if (label == 3) {
      ASSERT_LT(sample.implant_distance[i], -least_depth);
    }
  }
}

TEST(ImplantScene, ResidualMaterialOnlyShrinks) {
  const ImplantScene s = scene(2);
  const TissueGrid early = s.sample(cube(48), 1.0);
  const TissueGrid late = s.sample(cube(48), 1.6);
  std::int64_t lost = 0;
  for (std::size_t i = 0; i < early.tissue.size(); ++i) {
    const std::int64_t before = label_of(static_cast<Tissue>(early.tissue[i]));
    const std::int64_t after = label_of(static_cast<Tissue>(late.tissue[i]));
    if (before < 2) {
      ASSERT_EQ(after, before);
    }
    if (before == 2) {
      ASSERT_EQ(after, 2);
    }
    lost += before == 3 && after == 2;
  }
  EXPECT_GT(lost, 500);
}

TEST(ImplantScene, BoneTouchesPartOfTheImplant) {
  const TissueGrid sample = scene(4).sample(cube(64), 1.0);
  const float voxel = static_cast<float>(sample.geometry.spacing[0]);
  double near = 0.0;
  double bone = 0.0;
  for (std::size_t i = 0; i < sample.tissue.size(); ++i) {
    if (sample.implant_distance[i] < 0.0F || sample.implant_distance[i] > voxel) continue;
    near += 1.0;
    bone += label_of(static_cast<Tissue>(sample.tissue[i])) == 1 ? 1.0 : 0.0;
  }
  EXPECT_GT(bone / near, 0.1);
  EXPECT_LT(bone / near, 0.8);
}

TEST(ImplantScene, DoesNotDependOnTheNumberOfThreads) {
  const auto sampled = [](int threads) {
    set_num_threads(threads);
    const SmoothRigidDeformation motion(deformation_parameters(MotionOptions{}, kFieldOfView),
                                        RandomStream(5));
    return scene(7).sample(cube(32), 1.2, &motion);
  };
  const TissueGrid a = sampled(1);
  const TissueGrid b = sampled(3);
  EXPECT_EQ(a.tissue, b.tissue);
  EXPECT_EQ(a.texture, b.texture);
}

}  // namespace
}  // namespace triptych
