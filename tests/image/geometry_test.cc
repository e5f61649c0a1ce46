// SPDX-License-Identifier: Apache-2.0
#include "framework/image/geometry.h"

#include "tests/image/sample_volumes.h"

namespace triptych {
namespace {

using ::testing::HasSubstr;

TEST(Geometry, WorldAndIndexAreInverse) {
  const Geometry geometry = oblique_geometry();
  const Eigen::Vector3d index(1.5, -2.25, 3.0);
  EXPECT_TRUE(geometry.index_from_world(geometry.world_from_index(index)).isApprox(index, 1e-12));
  EXPECT_TRUE(geometry.world_from_index(Eigen::Vector3d::Zero()).isApprox(geometry.origin));
}

TEST(Geometry, CroppingMovesTheOriginOnly) {
  const Geometry geometry = oblique_geometry();
  const Geometry part = geometry.cropped({{1, 2, 3}, {2, 3, 4}});
  EXPECT_EQ(part.shape, (Index3{2, 3, 4}));
  EXPECT_TRUE(part.origin.isApprox(geometry.world_from_index({3.0, 2.0, 1.0})));
  EXPECT_EQ(part.spacing, geometry.spacing);
  EXPECT_EQ(part.direction, geometry.direction);
}

TEST(Geometry, ResamplingKeepsTheFieldOfViewAndItsStartCorner) {
  Geometry geometry = oblique_geometry({10, 10, 10});
  geometry.spacing = {1.0, 1.0, 1.0};
  const Geometry fine = geometry.resampled_to({0.1, 0.5, 3.0});
  EXPECT_EQ(fine.shape, (Index3{4, 20, 100}));
  const Eigen::Vector3d corner(-0.5, -0.5, -0.5);
  EXPECT_TRUE(fine.world_from_index(corner).isApprox(geometry.world_from_index(corner), 1e-12));
}

TEST(Geometry, ResamplingLeavesTheMissingAxisOf2DImagesAlone) {
  Geometry geometry;
  geometry.shape = {1, 8, 8};
  const Geometry coarse = geometry.resampled_to({2.0, 2.0, 2.0});
  EXPECT_EQ(coarse.shape, (Index3{1, 4, 4}));
  EXPECT_EQ(coarse.spacing[2], 1.0);
}

TEST(Geometry, ResamplingNeedsAKnownSpacing) {
  Geometry geometry;
  geometry.spacing_known = false;
  EXPECT_THAT(message_of([&] {
                geometry.resampled_to({1.0, 1.0, 1.0});
              }),
              HasSubstr("geometry: the image states no spacing"));
}

TEST(Geometry, OrientationNamesTheDirectionInWhichAxesGrow) {
  Geometry geometry;
  EXPECT_EQ(geometry.orientation(), "LPS");
  geometry.direction << 0, 0, -1, 1, 0, 0, 0, 1, 0;  // x grows to P, y to S, z to R
  EXPECT_EQ(geometry.orientation(), "PSR");
  EXPECT_EQ(oblique_geometry().orientation().substr(0, 8), "oblique ");
}

TEST(Geometry, AnisotropyIgnoresAxesOfOneVoxel) {
  Geometry geometry = oblique_geometry();
  EXPECT_DOUBLE_EQ(geometry.anisotropy(), 2.9 / 0.7);
  geometry.shape[0] = 1;
  EXPECT_DOUBLE_EQ(geometry.anisotropy(), 1.3 / 0.7);
}

TEST(Geometry, TextStatesSizeSpacingAndDirection) {
  Geometry geometry;
  geometry.shape = {147, 170, 160};
  geometry.spacing = {0.141, 0.141, 0.141};
  EXPECT_EQ(geometry.text(),
            "160x170x147 voxels of 0.141x0.141x0.141 mm, origin (0, 0, 0), direction LPS");
  geometry.spacing_known = false;
  EXPECT_THAT(geometry.text(), HasSubstr("unknown spacing"));
}

TEST(SameGrid, ToleratesAThousandthOfAVoxelAndNoMore) {
  const Geometry a = oblique_geometry();
  Geometry b = a;
  b.origin += a.direction.col(0) * 0.0006;
  EXPECT_TRUE(same_grid(a, b));
  b.origin += a.direction.col(0) * 0.0006;
  EXPECT_FALSE(same_grid(a, b));
}

TEST(SameGrid, NamesEverythingThatDiffers) {
  const Geometry a = oblique_geometry();
  Geometry b = a;
  b.shape = {5, 7, 8};
  b.spacing[2] = 3.0;
  const std::string message =
      message_of([&] { check_same_grid(a, "ct.nii.gz", b, "label.nii.gz"); });
  EXPECT_THAT(message, HasSubstr("geometry: ct.nii.gz and label.nii.gz: expected the same grid"));
  EXPECT_THAT(message, HasSubstr("size 9x7x5 against 8x7x5"));
  EXPECT_THAT(message, HasSubstr("spacing 0.7x1.3x2.9 mm against 0.7x1.3x3 mm"));
  EXPECT_EQ(message.find("origin"), std::string::npos);
}

TEST(CheckValid, RefusesShearZeroSpacingAndNan) {
  Geometry geometry = oblique_geometry();
  EXPECT_NO_THROW(check_valid(geometry, "a.mha"));
  geometry.direction(0, 1) += 0.05;
  EXPECT_THAT(message_of([&] { check_valid(geometry, "a.mha"); }),
              HasSubstr("a.mha: expected an orthonormal direction"));
  geometry = oblique_geometry();
  geometry.spacing[1] = 0.0;
  EXPECT_THAT(message_of([&] { check_valid(geometry, "a.mha"); }),
              HasSubstr("expected a positive spacing along y, got 0 mm"));
  geometry = oblique_geometry();
  geometry.origin[0] = std::nan("");
  EXPECT_THAT(message_of([&] { check_valid(geometry, "a.mha"); }),
              HasSubstr("expected a finite origin"));
}

}  // namespace
}  // namespace triptych
