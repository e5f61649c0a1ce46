// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/local_contrast.h"

#include "framework/core/parallel.h"
#include "framework/image/geometry.h"

#include "tests/support/tensor_matchers.h"

#include <algorithm>
#include <cmath>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {

/// The part of the window about a voxel that is inside the image, double precision.
at::Tensor window_of(const at::Tensor& image, const Index3& voxel, std::int64_t radius) {
  at::Tensor x = image[0][0];
  for (std::size_t a = 0; a < 3; ++a) {
    const auto axis = static_cast<std::int64_t>(a);
    const std::int64_t first = std::max<std::int64_t>(0, voxel[a] - radius);
    const std::int64_t end = std::min(x.size(axis), voxel[a] + radius + 1);
    x = x.narrow(axis, first, end - first);
  }
  return x.flatten().to(at::kDouble);
}

TEST(LocalContrast, EqualsItsDefinition) {
  const at::Tensor image = 100.0 + 3.0 * at::rand({1, 1, 9, 10, 11});
  const at::Tensor found = local_contrast(image, {}, {.radius = 2, .flat_share = 0.0});
  for (const Index3& voxel : {Index3{0, 0, 0}, Index3{4, 5, 6}, Index3{8, 3, 10}}) {
    const at::Tensor window = window_of(image, voxel, 2);
    const double value = image[0][0][voxel[0]][voxel[1]][voxel[2]].item<double>();
    const double expected =
        (value - window.mean().item<double>()) / window.std(false).item<double>();
    EXPECT_NEAR(found[0][0][voxel[0]][voxel[1]][voxel[2]].item<double>(), expected, 1e-3);
  }
}

TEST(LocalContrast, IsFreeOfScaleAndOffset) {
  const at::Tensor image = at::rand({1, 1, 12, 14, 16});
  EXPECT_TRUE(testing::near(local_contrast(image), local_contrast(40.0 * image - 7.0), 1e-3));
}

TEST(LocalContrast, HardlySeesABiasField) {
  const at::Tensor image = at::rand({1, 1, 1, 90, 90});
  const at::Tensor bias = at::linspace(0.5, 2.0, 90).view({1, 1, 1, 1, 90});
  const at::Tensor plain = local_contrast(image), biased = local_contrast(image * bias);
  EXPECT_LT((plain - biased).square().mean().item<double>(),
            0.05 * (plain - plain.roll(20, 4)).square().mean().item<double>());
}

TEST(LocalContrast, IsZeroInAConstantImage) {
  const at::Tensor image = at::full({1, 1, 8, 8, 8}, 300.0);
  EXPECT_EQ(local_contrast(image).abs().max().item<float>(), 0.0F);
}

TEST(LocalContrast, LeavesOutWhatHasNoWeight) {
  const at::Tensor image = at::rand({1, 1, 10, 12, 40});
  at::Tensor weight = at::ones_like(image), walled = image.clone();
  weight.narrow(4, 20, 20).zero_();
  walled.narrow(4, 20, 20).fill_(9.0);
  const at::Tensor found = local_contrast(walled, weight);
  const at::Tensor alone = local_contrast(image.narrow(4, 0, 20).contiguous());
  EXPECT_TRUE(testing::near(found.narrow(4, 0, 20), alone, 1e-3));
  EXPECT_EQ(found.narrow(4, 20, 20).abs().max().item<float>(), 0.0F);
}

TEST(LocalContrast, BitsDoNotDependOnThreads) {
  const at::Tensor image = at::rand({1, 1, 20, 60, 70});
  set_num_threads(1);
  const at::Tensor one = local_contrast(image);
  set_num_threads(3);
  const at::Tensor three = local_contrast(image);
  set_num_threads(0);
  EXPECT_TRUE(at::equal(one, three));
}

}  // namespace
}  // namespace triptych
