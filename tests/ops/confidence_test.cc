// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/confidence.h"

#include "framework/core/parallel.h"
#include "framework/image/geometry.h"

#include "tests/support/tensor_matchers.h"

#include <algorithm>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {

using testing::near;

/// The definition at a voxel, in double precision, over the part of the window inside the image.
double plain_agreement(const at::Tensor& fixed,
                       const at::Tensor& moving,
                       const at::Tensor& weight,
                       const Index3& voxel,
                       std::int64_t radius) {
  const auto window = [&](at::Tensor x) {
    for (std::size_t a = 0; a < 3; ++a) {
      const auto axis = static_cast<std::int64_t>(a) + 1;
      const std::int64_t first = std::max<std::int64_t>(0, voxel[a] - radius);
      const std::int64_t end = std::min(x.size(axis), voxel[a] + radius + 1);
      x = x.narrow(axis, first, end - first);
    }
    return x.flatten(1).to(at::kDouble);
  };
  const at::Tensor f = window(fixed[0]), m = window(moving[0]), w = window(weight[0]);
  const auto mean = [&](const at::Tensor& x) { return (w * x).sum(1) / w.sum(1); };
  const at::Tensor difference = mean((f - m).square());
  const at::Tensor variances =
      mean(f.square()) - mean(f).square() + mean(m.square()) - mean(m).square();
  return std::max(0.0, 1.0 - difference.sum().item<double>() / variances.sum().item<double>());
}

TEST(Agreement, EqualsItsDefinition) {
  const at::Tensor fixed = at::rand({1, 3, 7, 8, 9});
  const at::Tensor moving = 0.6 * fixed + 0.3 * at::rand({1, 3, 7, 8, 9});
  const at::Tensor weight = 0.1 + at::rand({1, 1, 7, 8, 9});
  AgreementOptions options;
  options.radius = 2;
  const at::Tensor found = local_agreement(fixed, moving, weight, options);
  const at::Tensor unweighted = local_agreement(fixed, moving, {}, options);
  for (const Index3& voxel : {Index3{0, 0, 0}, Index3{3, 4, 5}, Index3{6, 2, 8}}) {
    const at::Tensor at_voxel = found[0][0][voxel[0]][voxel[1]][voxel[2]];
    EXPECT_NEAR(at_voxel.item<double>(), plain_agreement(fixed, moving, weight, voxel, 2), 1e-4);
    EXPECT_NEAR(unweighted[0][0][voxel[0]][voxel[1]][voxel[2]].item<double>(),
                plain_agreement(fixed, moving, at::ones_like(weight), voxel, 2),
                1e-4);
  }
}

TEST(Agreement, IsOneForEqualFeaturesAndZeroForNoiseAndConstants) {
  const at::Tensor shape = at::empty({1, 12, 24, 26, 28});
  const at::Tensor features = at::rand_like(shape);
  EXPECT_TRUE(near(local_agreement(features, features), at::ones({1, 1, 24, 26, 28}), 1e-3));
  EXPECT_LT(local_agreement(features, at::rand_like(shape)).mean().item<double>(), 0.02);
  EXPECT_LT(local_agreement(features, 1.0 - features).max().item<double>(), 1e-6);
  const at::Tensor flat = at::full_like(shape, 0.7);
  EXPECT_LT(local_agreement(flat, flat).max().item<double>(), 0.3);
  EXPECT_LT(local_agreement(flat, features).max().item<double>(), 1e-3);
}

TEST(Agreement, LeavesOutWhatHasNoWeight) {
  const at::Tensor fixed = at::rand({1, 2, 1, 20, 20});
  at::Tensor moving = fixed.clone();
  moving.narrow(4, 10, 10).copy_(at::rand({1, 2, 1, 20, 10}));
  at::Tensor weight = at::ones({1, 1, 1, 20, 20});
  weight.narrow(4, 10, 10).zero_();
  const at::Tensor found = local_agreement(fixed, moving, weight);
  EXPECT_GT(found.narrow(4, 0, 10).min().item<double>(), 0.999);
  EXPECT_EQ(found.narrow(4, 16, 4).max().item<double>(), 0.0);
}

TEST(Structure, IsWhatNoiseDoesNotExplain) {
  // Noise of deviation 1 in one half, stripes of variance 16 beside it in the other.
  at::Tensor image = at::randn({1, 1, 30, 32, 64});
  const at::Tensor stripes = at::arange(32).remainder(4).ge(2).to(at::kFloat) * 8.0 - 4.0;
  image.narrow(4, 32, 32).add_(stripes);
  const at::Tensor share = structure_share(image);
  EXPECT_LT(share.narrow(4, 0, 28).mean().item<double>(), 0.01);
  EXPECT_NEAR(share.narrow(4, 36, 24).mean().item<double>(), 1.0 - 1.75 * 0.93 / 17.0, 0.02);
  // Neither scale nor offset of the grey values matters.
  EXPECT_TRUE(near(structure_share(300.0 - 20.0 * image), share, 1e-3));
  EXPECT_EQ(structure_share(at::full({1, 1, 4, 5, 6}, 3.0)).abs().max().item<double>(), 0.0);
}

TEST(Agreement, BitsDoNotDependOnThreads) {
  const at::Tensor fixed = at::rand({1, 3, 30, 31, 33}), moving = at::rand({1, 3, 30, 31, 33});
  set_num_threads(1);
  const at::Tensor expected = local_agreement(fixed, moving);
  set_num_threads(5);
  EXPECT_TRUE(at::equal(local_agreement(fixed, moving), expected));
  const at::Tensor image = fixed.narrow(1, 0, 1).contiguous();
  const at::Tensor share = structure_share(image);
  set_num_threads(1);
  EXPECT_TRUE(at::equal(structure_share(image), share));
}

}  // namespace
}  // namespace triptych
