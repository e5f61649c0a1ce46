// SPDX-License-Identifier: Apache-2.0
#include "framework/registration/deformable_alignment.h"

#include "framework/core/parallel.h"
#include "framework/ops/jacobian.h"
#include "framework/ops/warp.h"

#include "tests/ops/displacement_fields.h"
#include "tests/support/tensor_matchers.h"

#include <algorithm>

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {

constexpr double kSpacing_mm = 0.5;

/// A ball of random texture, and the same seen through a known displacement.
struct Phantom {
  RegistrationImage fixed, moving;
  at::Tensor truth_mm, inside;  ///< [1, 3, D, H, W]; [1, D, H, W]: where there is texture
};

Phantom displaced_phantom(const Index3& shape, double amplitude_mm, double sigma_mm) {
  Phantom phantom;
  Geometry grid = testing::oblique_grid(shape);
  grid.spacing.setConstant(kSpacing_mm);
  const auto coarse = [](std::int64_t size) { return std::max<std::int64_t>(1, size / 3); };
  at::Tensor texture = at::upsample_trilinear3d(
      at::rand({1, 1, coarse(shape[0]), coarse(shape[1]), coarse(shape[2])}), shape, true);
  const Eigen::Vector3d middle = testing::middle_of(grid);
  const at::Tensor position = testing::field_of(
      grid, [&](const Eigen::Vector3d& x) -> Eigen::Vector3d { return x - middle; });
  const double radius_mm = 0.45 * kSpacing_mm * static_cast<double>(std::min(shape[1], shape[2]));
  const at::Tensor distance = position.square().sum(1, true).sqrt();
  texture = (1.0 + texture) * (distance < radius_mm).to(at::kFloat);
  phantom.moving = {texture, grid, {}};
  at::Tensor truth = testing::gaussian_push(grid, amplitude_mm, sigma_mm).to(at::kFloat);
  if (grid.is_2d()) {  // within the plane
    at::Tensor voxels = voxels_from_mm(truth, grid);
    voxels.select(1, 2).zero_();
    truth = mm_from_voxels(voxels, grid);
  }
  phantom.truth_mm = truth;
  phantom.fixed = {warp(texture, grid, truth, grid), grid, {}};
  phantom.inside = (phantom.fixed.values > 0.5).squeeze(1);
  return phantom;
}

/// Mean over the texture of the distance from the truth, in voxels.
double mean_error_voxel(const Phantom& phantom, const at::Tensor& field) {
  const at::Tensor error = (field - phantom.truth_mm).square().sum(1).sqrt();
  return error.masked_select(phantom.inside).mean().item<double>() / kSpacing_mm;
}

at::Tensor aligned(const RegistrationImage& fixed,
                   const RegistrationImage& moving,
                   const DeformationOptions& options = {}) {
  return align_deformable(fixed, moving, {}, mind_features(), options).displacement_mm.unsqueeze(0);
}

TEST(DeformableAlignment, RecoversASmoothDisplacementWithoutFolds) {
  const Phantom phantom = displaced_phantom({48, 52, 56}, 3.0, 5.0);
  EXPECT_GT(mean_error_voxel(phantom, at::zeros_like(phantom.truth_mm)), 1.4);
  const at::Tensor field = aligned(phantom.fixed, phantom.moving);
  EXPECT_LT(mean_error_voxel(phantom, field), 0.5);
  EXPECT_EQ(jacobian_statistics(jacobian_determinant(field, phantom.fixed.geometry)).folded_share,
            0.0);
}

TEST(DeformableAlignment, RecoversItAcrossContrasts) {
  Phantom phantom = displaced_phantom({48, 52, 56}, 3.0, 5.0);
  phantom.fixed.values = 5.0 - 2.0 * phantom.fixed.values;
  EXPECT_LT(mean_error_voxel(phantom, aligned(phantom.fixed, phantom.moving)), 1.0);
}

TEST(DeformableAlignment, LeavesEqualImagesAsTheyAre) {
  const Phantom phantom = displaced_phantom({24, 26, 28}, 1.0, 4.0);
  EXPECT_EQ(aligned(phantom.fixed, phantom.fixed).abs().max().item<float>(), 0.0F);
}

TEST(DeformableAlignment, StaysInThePlaneOf2DImages) {
  const Phantom phantom = displaced_phantom({1, 80, 90}, 3.0, 7.0);
  const at::Tensor field = aligned(phantom.fixed, phantom.moving);
  EXPECT_LT(voxels_from_mm(field, phantom.fixed.geometry).select(1, 2).abs().max().item<float>(),
            1e-5F);
  EXPECT_LT(mean_error_voxel(phantom, field), 0.5);
}

TEST(DeformableAlignment, SeesTheMovingImageThroughTheStart) {
  Phantom phantom = displaced_phantom({32, 34, 36}, 1.0, 4.0);
  const Eigen::Vector3d shift(40.0, -25.0, 10.0);
  phantom.moving.geometry.origin += shift;
  const AffineMap start{Eigen::Matrix3d::Identity(), shift};
  const at::Tensor field =
      align_deformable(phantom.fixed, phantom.moving, start, mind_features(), {})
          .displacement_mm.unsqueeze(0);
  EXPECT_LT(mean_error_voxel(phantom, field), 0.5);
}

TEST(DeformableAlignment, IgnoresWhatTheMasksLeaveOut) {
  Phantom phantom = displaced_phantom({48, 52, 56}, 2.0, 5.0);
  // A wall that is in the moving image alone.
  at::Tensor mask = at::ones_like(phantom.moving.values);
  mask.narrow(4, 0, 18).zero_();
  phantom.moving.values = at::where(mask > 0, phantom.moving.values, at::full_like(mask, 9.0));
  const double without = mean_error_voxel(phantom, aligned(phantom.fixed, phantom.moving));
  phantom.moving.mask = mask;
  phantom.fixed.mask = mask.clone();
  phantom.inside = phantom.inside.logical_and(mask.squeeze(1) > 0);
  const double with = mean_error_voxel(phantom, aligned(phantom.fixed, phantom.moving));
  EXPECT_LT(with, 0.5);
  EXPECT_LT(with, without);
}

TEST(DeformableAlignment, WorksOnACoarserGridWithinItsVoxels) {
  const Phantom phantom = displaced_phantom({48, 52, 56}, 3.0, 5.0);
  DeformationOptions options;
  options.voxels = 20'000;
  const DisplacementField found =
      align_deformable(phantom.fixed, phantom.moving, {}, mind_features(), options);
  EXPECT_LE(found.geometry.voxels(), 22'000);
  const at::Tensor field =
      resample_to_grid(found.displacement_mm.unsqueeze(0), found.geometry, phantom.fixed.geometry);
  EXPECT_LT(mean_error_voxel(phantom, field), 1.0);
}

TEST(DeformableAlignment, TakesSlabsAndSlicesOfFewVoxels) {
  for (const Index3& shape : {Index3{3, 20, 24}, Index3{1, 5, 4}, Index3{2, 2, 2}}) {
    const Phantom phantom = displaced_phantom(shape, 0.3, 3.0);
    const at::Tensor field = aligned(phantom.fixed, phantom.moving);
    EXPECT_EQ(field.sizes(), phantom.truth_mm.sizes());
    EXPECT_TRUE(at::isfinite(field).all().item<bool>());
  }
}

TEST(DeformableAlignment, RefusesAStartWithoutOverlap) {
  const Phantom phantom = displaced_phantom({8, 9, 10}, 0.0, 4.0);
  const AffineMap far{Eigen::Matrix3d::Identity(), Eigen::Vector3d(500.0, 0.0, 0.0)};
  EXPECT_THAT(
      testing::error_message(
          "data",
          [&] { align_deformable(phantom.fixed, phantom.moving, far, mind_features(), {}); }),
      ::testing::HasSubstr("outside of the moving one"));
}

TEST(DeformableAlignment, HasTheSameBitsForEveryNumberOfThreads) {
  const Phantom phantom = displaced_phantom({20, 22, 24}, 1.0, 4.0);
  DeformationOptions options;
  options.iterations = 6;
  options.fine_iterations = 4;
  const at::Tensor one = aligned(phantom.fixed, phantom.moving, options);
  set_num_threads(5);
  EXPECT_TRUE(at::equal(aligned(phantom.fixed, phantom.moving, options), one));
}

}  // namespace
}  // namespace triptych
