// SPDX-License-Identifier: Apache-2.0
#include "framework/registration/section_search.h"

#include "framework/core/error.h"
#include "framework/core/random.h"
#include "framework/image/resample.h"
#include "framework/ops/random_shapes.h"

#include <cmath>

#include <ATen/ATen.h>
#include <Eigen/Geometry>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {

constexpr double kVoxelMm = 0.5;

/// Shapes without any symmetry. (A screw would not do: it looks alike at every turn about its
/// axis.)
Volume shapes_volume(std::uint64_t seed) {
  const std::int64_t side = 64;
  Volume volume;
  volume.data = paint_random_shapes({side, side, side}, {}, RandomStream(seed)).image.unsqueeze(0);
  volume.geometry.shape = {side, side, side};
  volume.geometry.spacing = {kVoxelMm, kVoxelMm, kVoxelMm};
  volume.geometry.origin = {10.0, -20.0, 5.0};
  return volume;
}

/// A section of 52 x 48 pixels about `middle_mm` of itself in any direction, 2 % of noise added.
struct Cut {
  RegistrationImage section;
  AffineMap volume_from_section;
  Eigen::Vector3d middle_mm{12.75, 11.75, 0.0};
};

Cut random_cut(const Volume& volume, RandomStream random, double scale = 1.0) {
  const Eigen::Quaterniond turn =
      Eigen::Quaterniond(random.normal(), random.normal(), random.normal(), random.normal())
          .normalized();
  Eigen::Vector3d index;
  for (int axis = 0; axis < 3; ++axis) index[axis] = 64.0 * random.uniform(0.35, 0.65);
  Cut cut;
  cut.volume_from_section.matrix = scale * turn.toRotationMatrix();
  cut.volume_from_section.offset =
      volume.geometry.world_from_index(index) - cut.volume_from_section.matrix * cut.middle_mm;
  Geometry plane;
  plane.shape = {1, 48, 52};
  plane.spacing = {scale * kVoxelMm, scale * kVoxelMm, scale * kVoxelMm};
  plane.direction = turn.toRotationMatrix();
  plane.origin = cut.volume_from_section.offset;
  const at::Tensor seen = resample(volume, plane, Interpolation::kLinear).data.unsqueeze(0);
  at::Tensor values = seen.clone();
  float* v = values.data_ptr<float>();
  const double noise = 0.02 * seen.std().item<double>();
  for (std::int64_t i = 0; i < values.numel(); ++i)
    v[i] += static_cast<float>(noise * random.normal());
  plane.spacing = {kVoxelMm, kVoxelMm, kVoxelMm};
  plane.direction.setIdentity();
  plane.origin.setZero();
  cut.section = {values, plane, {}};
  return cut;
}

/// Within 2 degrees and 2 voxels.
bool found(const Cut& cut, const SectionPlacement& placement) {
  const Eigen::Matrix3d difference =
      placement.volume_from_section.matrix * cut.volume_from_section.matrix.inverse();
  const double angle_rad =
      Eigen::AngleAxisd(difference / std::cbrt(difference.determinant())).angle();
  const double distance_mm = (placement.volume_from_section.map(cut.middle_mm) -
                              cut.volume_from_section.map(cut.middle_mm))
                                 .norm();
  return std::abs(angle_rad) < 2.0 * 3.14159265 / 180.0 && distance_mm < 2.0 * kVoxelMm;
}

RegistrationImage as_image(const Volume& volume) {
  return registration_image(volume, std::nullopt, "volume");
}

TEST(SectionSearch, FindsSectionsOfTheSameModality) {
  int hits = 0;
  for (std::uint64_t pose = 0; pose < 3; ++pose) {
    const Volume volume = shapes_volume(pose);
    const Cut cut = random_cut(volume, RandomStream(11, {pose}));
    hits += found(cut, place_section(cut.section, as_image(volume)));
  }
  EXPECT_EQ(hits, 3);
}

TEST(SectionSearch, FindsSectionsOfAnotherModality) {
  int hits = 0;
  for (std::uint64_t pose = 0; pose < 2; ++pose) {
    const Volume volume = shapes_volume(7);
    Cut cut = random_cut(volume, RandomStream(12, {pose}));
    cut.section.values = 50.0 * at::sin(3.0 * cut.section.values) - 20.0 * cut.section.values;
    hits += found(cut, place_section(cut.section, as_image(volume)));
  }
  EXPECT_EQ(hits, 2);
}

TEST(SectionSearch, FindsTheScaleOfAShrunkSection) {
  const Volume volume = shapes_volume(3);
  const Cut cut = random_cut(volume, RandomStream(13), 1.08);
  SectionSearchOptions options;
  options.model = "similarity";
  const SectionPlacement placement = place_section(cut.section, as_image(volume), options);
  EXPECT_TRUE(found(cut, placement));
  EXPECT_NEAR(std::cbrt(placement.volume_from_section.matrix.determinant()), 1.08, 0.01);
}

TEST(SectionSearch, SaysWhatCannotBePlaced) {
  const Volume volume = shapes_volume(0);
  Cut cut = random_cut(volume, RandomStream(1));
  const auto refusal = [](const RegistrationImage& section, const RegistrationImage& whole) {
    try {
      place_section(section, whole);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_THAT(refusal(as_image(volume), as_image(volume)),
              ::testing::HasSubstr("expected a section of one slice and a volume"));
  cut.section.geometry.spacing_known = false;
  EXPECT_THAT(refusal(cut.section, as_image(volume)), ::testing::HasSubstr("no spacing"));
  cut.section.geometry.spacing_known = true;
  cut.section.values.fill_(2.0F);
  EXPECT_THAT(refusal(cut.section, as_image(volume)),
              ::testing::HasSubstr("the section has one grey value only"));
}

}  // namespace
}  // namespace triptych
