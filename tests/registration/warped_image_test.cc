// SPDX-License-Identifier: Apache-2.0
#include "framework/registration/warped_image.h"

#include "framework/core/parallel.h"
#include "framework/ops/convex_search.h"
#include "framework/registration/inverse_map.h"
#include "framework/registration/working_resolution.h"

#include <cmath>

#include <ATen/ATen.h>
#include <Eigen/Geometry>
#include <gtest/gtest.h>

namespace triptych {
namespace {

Geometry grid_of(Index3 shape, double spacing_mm) {
  Geometry grid;
  grid.shape = shape;
  grid.spacing = Eigen::Vector3d(spacing_mm, 1.5 * spacing_mm, 2.0 * spacing_mm);
  grid.origin = {-3.0, 5.0, 11.0};
  grid.direction =
      Eigen::AngleAxisd(0.4, Eigen::Vector3d(1.0, -2.0, 0.5).normalized()).toRotationMatrix();
  return grid;
}

/// Values that are linear in the world position, so that linear interpolation is exact.
Volume linear_volume(const Geometry& grid) {
  Volume volume{
      at::empty({1, grid.shape[0], grid.shape[1], grid.shape[2]}, at::kFloat), grid, "", {}};
  auto values = volume.data.accessor<float, 4>();
  for (std::int64_t d = 0; d < grid.shape[0]; ++d) {
    for (std::int64_t h = 0; h < grid.shape[1]; ++h) {
      for (std::int64_t w = 0; w < grid.shape[2]; ++w) {
        const Eigen::Vector3d at = grid.world_from_index(
            {static_cast<double>(w), static_cast<double>(h), static_cast<double>(d)});
        values[0][d][h][w] = static_cast<float>(2.0 * at.x() - at.y() + 0.5 * at.z());
      }
    }
  }
  return volume;
}

/// A smooth field of a few mm, then a rotation: a chain as registration makes it.
SpatialTransform chain(const Geometry& grid) {
  at::Tensor field = at::empty({3, grid.shape[0], grid.shape[1], grid.shape[2]}, at::kFloat);
  for (int c = 0; c < 3; ++c) {
    const at::Tensor phase = at::arange(grid.shape[2], at::kFloat).mul(0.2F).add(c) +
                             at::arange(grid.shape[1], at::kFloat).mul(0.15F).unsqueeze(1);
    field[c].copy_(phase.sin().mul(0.4F).unsqueeze(0).expand_as(field[c]));
  }
  const AffineMap rotation =
      AffineMap::about(grid.origin,
                       Eigen::AngleAxisd(0.3, Eigen::Vector3d::UnitY()).toRotationMatrix(),
                       {0.5, 0.0, -0.3});
  return SpatialTransform({DisplacementField{grid, field}, rotation});
}

TEST(WarpedImage, TakesValuesFromWhereTheTransformLeads) {
  const Volume moving = linear_volume(grid_of({30, 40, 50}, 0.5));
  const Geometry fixed = grid_of({12, 130, 20}, 0.4);
  const SpatialTransform transform = chain(fixed);
  const at::Tensor warped = all_voxels(
      warped_image(source_of(moving), transform, fixed, {SampleInterpolation::kLinear, -999.0}));
  std::int64_t inside = 0;
  for (std::int64_t d = 0; d < 12; d += 3) {
    for (std::int64_t h = 0; h < 130; h += 7) {
      for (std::int64_t w = 0; w < 20; w += 3) {
        const Eigen::Vector3d there = transform.map(fixed.world_from_index(
            {static_cast<double>(w), static_cast<double>(h), static_cast<double>(d)}));
        const Eigen::Vector3d index = moving.geometry.index_from_world(there);
        const float value = warped[0][d][h][w].item<float>();
        const Eigen::Vector3d last(49.0, 39.0, 29.0);
        if ((index.array() >= 0.0).all() && ((last - index).array() >= 0.0).all()) {
          ++inside;
          EXPECT_NEAR(value, 2.0 * there.x() - there.y() + 0.5 * there.z(), 2e-4);
        } else if ((index.array() < -0.501).any() || ((index - last).array() > 0.501).any()) {
          EXPECT_EQ(value, -999.0F);
        }
      }
    }
  }
  EXPECT_GT(inside, 60);
}

TEST(WarpedImage, IsTheSameInPiecesAndWithAnyThreads) {
  const Volume moving = linear_volume(grid_of({20, 30, 25}, 0.5));
  const Geometry fixed = grid_of({9, 110, 20}, 0.4);
  for (const auto interpolation : {SampleInterpolation::kLinear, SampleInterpolation::kCubic}) {
    const VolumeSource warped =
        warped_image(source_of(moving), chain(fixed), fixed, {interpolation, 0.0});
    const at::Tensor whole = warped.read(0, {{0, 0, 0}, fixed.shape});
    const at::Tensor piece = warped.read(0, {{2, 17, 3}, {5, 80, 11}});
    EXPECT_LT((whole.narrow(0, 2, 5).narrow(1, 17, 80).narrow(2, 3, 11) - piece)
                  .abs()
                  .max()
                  .item<double>(),
              1e-4);
    set_num_threads(2);
    EXPECT_TRUE(at::equal(whole, warped.read(0, {{0, 0, 0}, fixed.shape})));
    set_num_threads(1);
  }
}

TEST(WarpedImage, KeepsTypeAndRange) {
  Volume moving{at::tensor({250, 255, 0, 5}, at::kByte).view({1, 1, 2, 2}), {}, "", {}};
  moving.geometry.shape = {1, 2, 2};
  Geometry fine = moving.geometry;
  fine.shape = {1, 3, 3};
  fine.spacing = {0.5, 0.5, 1.0};
  const at::Tensor linear = all_voxels(warped_image(source_of(moving), AffineMap{}, fine));
  EXPECT_EQ(linear.scalar_type(), at::kByte);
  EXPECT_EQ(linear[0][0][0][1].item<int>(), 252);  // 252.5 rounds to even
  EXPECT_EQ(linear[0][0][1][1].item<int>(), 128);  // 127.5
  const at::Tensor nearest = all_voxels(
      warped_image(source_of(moving), AffineMap{}, fine, {SampleInterpolation::kNearest, 0.0}));
  for (const std::uint8_t value : {250, 255, 0, 5})
    EXPECT_TRUE(nearest.eq(value).any().item<bool>());
  EXPECT_EQ(nearest.eq(250).sum().item<int>() + nearest.eq(255).sum().item<int>() +
                nearest.eq(0).sum().item<int>() + nearest.eq(5).sum().item<int>(),
            9);
}

TEST(WarpedImage, RepeatsTheEdgeForHalfAVoxelAndFillsBeyond) {
  Volume moving{at::tensor({7.0F, 7.0F, 9.0F}).view({1, 1, 1, 3}), {}, "", {}};
  moving.geometry.shape = {1, 1, 3};
  Geometry fixed = moving.geometry;
  fixed.shape = {1, 1, 5};
  fixed.origin.x() = -0.4;
  const at::Tensor warped = all_voxels(
      warped_image(source_of(moving), AffineMap{}, fixed, {SampleInterpolation::kLinear, -1.0}));
  EXPECT_FLOAT_EQ(warped[0][0][0][0].item<float>(), 7.0F);
  EXPECT_FLOAT_EQ(warped[0][0][0][3].item<float>(), -1.0F);  // at 2.6
  const AffineMap away{Eigen::Matrix3d::Identity(), {1000.0, 0.0, 0.0}};
  EXPECT_TRUE(
      all_voxels(warped_image(source_of(moving), away, fixed, {SampleInterpolation::kLinear, -1.0}))
          .eq(-1.0)
          .all()
          .item<bool>());
}

TEST(InverseMap, UndoesAChain) {
  const Geometry grid = grid_of({20, 24, 28}, 0.5);
  const SpatialTransform transform = chain(grid);
  const InverseMap inverse(transform);
  for (const Eigen::Vector3d& index :
       {Eigen::Vector3d(5, 6, 7), Eigen::Vector3d(20.3, 11.7, 12.2), Eigen::Vector3d(14, 18, 3)}) {
    const Eigen::Vector3d fixed = grid.world_from_index(index);
    EXPECT_LT((inverse(transform.map(fixed)) - fixed).norm(), 1e-5);
  }
}

TEST(WorkingResolution, KeepsPlaceAndMean) {
  const Geometry grid = grid_of({40, 70, 101}, 0.5);
  const Volume image = linear_volume(grid);
  const Volume half = pooled(source_of(image), {1, 2, 2});
  EXPECT_EQ(half.geometry.shape, (Index3{40, 35, 50}));
  const Volume expected = linear_volume(half.geometry);
  EXPECT_LT((half.data - expected.data).abs().max().item<double>(), 1e-4);
  EXPECT_TRUE(at::equal(pooled(source_of(image), {1, 1, 1}).data, image.data));
}

TEST(WorkingResolution, FollowsTheVoxelBudget) {
  Geometry grid;
  grid.shape = {500, 1000, 1000};
  const Index3 factors = pooling_factors(grid, 10'000'000);
  EXPECT_EQ(factors, (Index3{4, 4, 4}));
  grid.spacing.z() = 3.0;  // thick slices stay as they are
  EXPECT_EQ(pooling_factors(grid, 60'000'000)[0], 1);
  EXPECT_LE(pooled_grid(grid, pooling_factors(grid, 60'000'000)).voxels(), 60'000'000);
  EXPECT_EQ(pooling_factors(grid, std::int64_t{1} << 40), (Index3{1, 1, 1}));
  EXPECT_NO_FATAL_FAILURE(pooling_factors(grid, 1));
}

TEST(WorkingResolution, ShowsValuesThatAreNoNumbers) {
  Volume image = linear_volume(grid_of({8, 8, 8}, 1.0));
  image.data[0][3][3][3] = NAN;
  EXPECT_TRUE(std::isnan(pooled(source_of(image), {2, 2, 2}).data.sum().item<double>()));
}

}  // namespace
}  // namespace triptych
