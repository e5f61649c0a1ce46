// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/warp.h"

#include "framework/core/parallel.h"

#include "tests/ops/displacement_fields.h"
#include "tests/support/tensor_matchers.h"

#include <cmath>

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {

using testing::error_message;
using ::testing::HasSubstr;
using testing::near;
using testing::oblique_grid;

const WarpOptions kAllOptions[] = {{WarpInterpolation::kLinear, WarpPadding::kZero},
                                   {WarpInterpolation::kLinear, WarpPadding::kEdge},
                                   {WarpInterpolation::kCubic, WarpPadding::kZero},
                                   {WarpInterpolation::kCubic, WarpPadding::kEdge}};

/// LibTorch's sampler with aligned corners; u in voxels.
at::Tensor reference(const at::Tensor& image, const at::Tensor& u, WarpPadding padding) {
  std::vector<at::Tensor> axes;
  for (std::int64_t axis = 0; axis < 3; ++axis) {
    const std::int64_t size = image.size(4 - axis);
    std::vector<std::int64_t> shape(3, 1);
    shape[static_cast<std::size_t>(2 - axis)] = size;
    const at::Tensor position = at::arange(size, u.options()).view(shape) + u.select(1, axis);
    axes.push_back(2.0 * position / static_cast<double>(size - 1) - 1.0);
  }
  return at::grid_sampler(
      image, at::stack(axes, -1), 0, padding == WarpPadding::kEdge ? 1 : 0, true);
}

/// sin(0.5 x) + 0.3 y z in voxels, which a displacement must carry along.
at::Tensor smooth_image(const Index3& shape) {
  const at::Tensor z = at::arange(shape[0], at::kFloat).view({-1, 1, 1});
  const at::Tensor y = at::arange(shape[1], at::kFloat).view({-1, 1});
  const at::Tensor x = at::arange(shape[2], at::kFloat);
  return (at::sin(0.5 * x) + 0.03 * y * z).expand({1, 1, shape[0], shape[1], shape[2]}).clone();
}

TEST(Warp, EqualsGridSamplerInValueAndBothGradients) {
  const at::Tensor image = at::randn({2, 3, 7, 9, 37});
  const at::Tensor u = 4.0 * at::randn({2, 3, 7, 9, 37});
  const at::Tensor weights = at::randn({2, 3, 7, 9, 37});
  for (const WarpPadding padding : {WarpPadding::kZero, WarpPadding::kEdge}) {
    std::vector<at::Tensor> values, images, fields;
    for (const bool ours : {true, false}) {
      images.push_back(image.clone().set_requires_grad(true));
      fields.push_back(u.clone().set_requires_grad(true));
      const WarpOptions options{WarpInterpolation::kLinear, padding};
      values.push_back(ours ? warp_voxels(images.back(), fields.back(), options)
                            : reference(images.back(), fields.back(), padding));
      (values.back() * weights).sum().backward();
    }
    EXPECT_TRUE(near(values[0], values[1], 1e-4));
    EXPECT_TRUE(near(images[0].grad(), images[1].grad(), 2e-4));
    EXPECT_TRUE(near(fields[0].grad(), fields[1].grad(), 1e-3));
  }
}

TEST(Warp, KernelEqualsOperatorsInDoublePrecision) {
  const Geometry from = oblique_grid({6, 8, 10});
  Geometry grid = oblique_grid({5, 7, 35});
  grid.spacing = {0.3, 0.7, 1.0};
  const at::Tensor image = at::randn({2, 2, 6, 8, 10}), u = at::randn({2, 3, 5, 7, 35});
  const at::Tensor weights = at::randn({2, 2, 5, 7, 35});
  for (const WarpOptions& options : kAllOptions) {
    const at::Tensor i1 = image.clone().set_requires_grad(true);
    const at::Tensor u1 = u.clone().set_requires_grad(true);
    const at::Tensor i2 = image.to(at::kDouble).set_requires_grad(true);
    const at::Tensor u2 = u.to(at::kDouble).set_requires_grad(true);
    const at::Tensor a = warp(i1, from, u1, grid, options);
    const at::Tensor b = warp(i2, from, u2, grid, options);
    EXPECT_TRUE(near(a, b, 2e-5));
    (a * weights).sum().backward();
    (b * weights).sum().backward();
    EXPECT_TRUE(near(i1.grad(), i2.grad(), 1e-4));
    EXPECT_TRUE(near(u1.grad(), u2.grad(), 5e-4));
  }
}

TEST(Warp, GradientsEqualFiniteDifferences) {
  const at::Tensor image = at::randn({1, 2, 5, 6, 8}, at::kDouble);
  // Away from voxel centres, where the linear interpolant has kinks.
  const at::Tensor u = at::randint(-2, 3, {1, 3, 5, 6, 8}, at::kDouble) + 0.25 +
                       0.5 * at::rand({1, 3, 5, 6, 8}, at::kDouble);
  const at::Tensor weights = at::randn({1, 2, 5, 6, 8}, at::kDouble);
  const at::Tensor along_image = at::randn_like(image), along_u = at::randn_like(u);
  for (const WarpOptions& options : kAllOptions) {
    const at::Tensor i = image.to(at::kFloat).set_requires_grad(true);
    const at::Tensor v = u.to(at::kFloat).set_requires_grad(true);
    (warp_voxels(i, v, options) * weights).sum().backward();
    const auto loss = [&](double t, double s) {
      return (warp_voxels(image + t * along_image, u + s * along_u, options) * weights).sum();
    };
    const double h = 1e-5;
    const at::Tensor by_image = (loss(h, 0.0) - loss(-h, 0.0)) / (2.0 * h);
    const at::Tensor by_field = (loss(0.0, h) - loss(0.0, -h)) / (2.0 * h);
    EXPECT_TRUE(near((i.grad() * along_image).sum(), by_image, 1e-4, 1e-4));
    EXPECT_TRUE(near((v.grad() * along_u).sum(), by_field, 1e-3, 1e-3));
  }
}

TEST(Warp, ReadsTheImageWhereTheDisplacementInMillimetresLeads) {
  const Geometry from = oblique_grid({10, 12, 14});
  Geometry grid = oblique_grid({4, 5, 6});
  grid.origin = from.world_from_index({4.0, 4.0, 3.0});
  const Eigen::Vector3d shift(0.2, -0.3, 0.4);
  at::Tensor u = at::empty({1, 3, 4, 5, 6});
  for (int c = 0; c < 3; ++c) u[0][c].fill_(shift[c]);
  // Linear functions are interpolated exactly.
  const at::Tensor z = at::arange(10, at::kFloat).view({-1, 1, 1});
  const at::Tensor y = at::arange(12, at::kFloat).view({-1, 1});
  const at::Tensor x = at::arange(14, at::kFloat);
  const at::Tensor image = (x + 10.0 * y + 100.0 * z).view({1, 1, 10, 12, 14});
  const at::Tensor result = warp(image, from, u, grid);
  const Eigen::Vector3d world = grid.world_from_index({2.0, 3.0, 1.0}) + shift;
  const Eigen::Vector3d index = from.index_from_world(world);
  EXPECT_NEAR(
      result[0][0][1][3][2].item<double>(), index.x() + 10.0 * index.y() + 100.0 * index.z(), 1e-3);
}

TEST(Warp, CubicInterpolationPassesThroughVoxelsAndIsExactForParabolas) {
  const at::Tensor x = at::arange(12, at::kFloat);
  const at::Tensor image = (0.5 * x * x - x).expand({1, 1, 6, 6, 12}).clone();
  const WarpOptions cubic{WarpInterpolation::kCubic, WarpPadding::kZero};
  EXPECT_TRUE(near(warp_voxels(image, at::zeros({1, 3, 6, 6, 12}), cubic), image, 1e-5));
  at::Tensor u = at::zeros({1, 3, 6, 6, 12});
  u.select(1, 0).fill_(0.3);
  const at::Tensor moved = x + 0.3;
  const at::Tensor expected = (0.5 * moved * moved - moved).slice(0, 2, 9);
  EXPECT_TRUE(near(warp_voxels(image, u, cubic)[0][0][3][3].slice(0, 2, 9), expected, 1e-4));
}

TEST(Warp, FarAwayIsZeroOrTheEdgeAndNumbersThatAreNoneReadNothing) {
  const at::Tensor image = smooth_image({4, 5, 6});
  const double nan = std::nan("");
  for (const double far : {1e30, -1e30, nan}) {
    const at::Tensor u = at::full({1, 3, 4, 5, 6}, far);
    EXPECT_TRUE(near(warp_voxels(image, u), at::zeros_like(image), 0.0));
    const at::Tensor edge = warp_voxels(image, u, {WarpInterpolation::kLinear, WarpPadding::kEdge});
    const std::int64_t last = far > 0.0 ? -1 : 0;
    const at::Tensor corner = image[0][0][last][last][last];
    EXPECT_TRUE(near(edge, corner.expand({1, 1, 4, 5, 6}), 1e-6));
  }
}

TEST(Warp, AnImageOfOneSliceIgnoresDisplacementsOutOfItsPlane) {
  const at::Tensor image = at::randn({1, 1, 1, 8, 9});
  const at::Tensor u = at::randn({1, 3, 1, 8, 9});
  at::Tensor flat = u.clone();
  flat.select(1, 2).zero_();
  const at::Tensor free = u.clone().set_requires_grad(true);
  const at::Tensor result = warp_voxels(image, free);
  EXPECT_TRUE(near(result, warp_voxels(image, flat), 1e-6));
  result.pow(2).sum().backward();
  EXPECT_EQ(free.grad().select(1, 2).abs().max().item<float>(), 0.0F);
  EXPECT_GT(free.grad().select(1, 1).abs().max().item<float>(), 0.0F);
}

TEST(Warp, BitsDoNotDependOnThreads) {
  const at::Tensor image = at::randn({1, 2, 20, 30, 40});
  const at::Tensor u = 3.0 * at::randn({1, 3, 20, 30, 40});
  std::vector<at::Tensor> values, gradients;
  for (const int threads : {1, 2, 5}) {
    set_num_threads(threads);
    const at::Tensor leaf = image.clone().set_requires_grad(true);
    values.push_back(warp_voxels(leaf, u));
    (values.back() * image).sum().backward();
    gradients.push_back(leaf.grad());
  }
  for (std::size_t i = 1; i < values.size(); ++i) {
    EXPECT_TRUE(at::equal(values[0], values[i]));
    EXPECT_TRUE(at::equal(gradients[0], gradients[i]));
  }
}

TEST(Warp, LabelsTakeTheNearestVoxelOrNone) {
  const at::Tensor labels = at::arange(4 * 5 * 6, at::kLong).view({1, 1, 4, 5, 6});
  Geometry grid;
  grid.shape = {4, 5, 6};
  at::Tensor u = at::zeros({1, 3, 4, 5, 6});
  u.select(1, 0).fill_(1.4);
  u.select(1, 1).fill_(-0.6);
  for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
    const at::Tensor moved = warp_labels(labels, grid, u.to(type), grid);
    EXPECT_EQ(moved[0][0][2][3][1].item<std::int64_t>(),
              labels[0][0][2][2][2].item<std::int64_t>());
    EXPECT_EQ(moved[0][0][2][0][1].item<std::int64_t>(), -1);
    EXPECT_EQ(moved[0][0][2][3][5].item<std::int64_t>(), -1);
  }
}

TEST(Warp, MillimetresAndVoxelsAreInverse) {
  const Geometry grid = oblique_grid({2, 3, 4});
  const at::Tensor u = at::randn({2, 3, 2, 3, 4}, at::kDouble);
  EXPECT_TRUE(near(voxels_from_mm(mm_from_voxels(u, grid), grid), u, 1e-12));
  at::Tensor along = at::zeros({1, 3, 2, 3, 4}, at::kDouble);
  along.select(1, 1).fill_(2.0);
  const Eigen::Vector3d expected = 2.0 * 0.8 * grid.direction.col(1);
  for (int c = 0; c < 3; ++c)
    EXPECT_NEAR(mm_from_voxels(along, grid)[0][c][1][2][3].item<double>(), expected[c], 1e-12);
}

TEST(Warp, CoarseFieldsComeOntoFineGridsWithRepeatedEdges) {
  Geometry coarse;
  coarse.shape = {2, 3, 4};
  coarse.spacing.setConstant(2.0);
  Geometry fine;
  fine.shape = {4, 6, 8};
  const at::Tensor x = 2.0 * at::arange(4, at::kFloat);
  const at::Tensor field = x.expand({1, 3, 2, 3, 4}).clone();
  const at::Tensor expected = at::arange(8, at::kFloat).clamp_max(6.0);
  EXPECT_TRUE(near(resample_to_grid(field, coarse, fine)[0][1][3][5], expected, 1e-5));
}

TEST(Warp, RefusesTensorsThatDoNotFit) {
  const Geometry grid = oblique_grid({4, 5, 6});
  const at::Tensor image = at::zeros({1, 1, 4, 5, 6});
  EXPECT_THAT(error_message("shape",
                            [&] {
                              warp(image, grid, at::zeros({1, 2, 4, 5, 6}), grid);
                            }),
              HasSubstr("displacement: expected shape [*, 3, 4, 5, 6], got [1, 2, 4, 5, 6]"));
  EXPECT_THAT(error_message("shape",
                            [&] {
                              warp(image, grid, at::zeros({2, 3, 4, 5, 6}), grid);
                            }),
              HasSubstr("expected as many displacements as images (1), got 2"));
  Geometry pixels = grid;
  pixels.spacing_known = false;
  EXPECT_THAT(error_message("geometry",
                            [&] {
                              warp(image, pixels, at::zeros({1, 3, 4, 5, 6}), grid);
                            }),
              HasSubstr("expected both spacings to be known"));
}

}  // namespace
}  // namespace triptych
