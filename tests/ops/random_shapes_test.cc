// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/random_shapes.h"

#include "framework/core/parallel.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {

TEST(RandomShapes, LieInAirAndWithinTheirRange) {
  for (const std::array<std::int64_t, 3> size :
       {std::array<std::int64_t, 3>{1, 96, 80}, std::array<std::int64_t, 3>{24, 24, 24}}) {
    const PaintedShapes painted = paint_random_shapes(size, {.texture = 0.0}, RandomStream(3));
    EXPECT_EQ(painted.image.sizes(), at::IntArrayRef(size));
    EXPECT_GE(painted.image.min().item<float>(), 0.0F);
    EXPECT_LE(painted.image.max().item<float>(), 1.0F);
    const at::Tensor air = painted.labels == 0;
    EXPECT_GT(air.sum().item<std::int64_t>(), air.numel() / 10);
    EXPECT_LT(air.sum().item<std::int64_t>(), 9 * air.numel() / 10);
    // A voxel of air holds less than half of the body's border.
    EXPECT_LT(painted.image.masked_select(air).max().item<float>(), 0.5F);
  }
}

TEST(RandomShapes, AreAFunctionOfTheStream) {
  const std::array<std::int64_t, 3> size{1, 64, 64};
  const PaintedShapes first = paint_random_shapes(size, {}, RandomStream(1));
  const int before = num_threads();
  set_num_threads(1);
  const PaintedShapes alone = paint_random_shapes(size, {}, RandomStream(1));
  set_num_threads(before);
  EXPECT_TRUE(at::equal(first.image, alone.image));
  EXPECT_TRUE(at::equal(first.labels, alone.labels));
  EXPECT_FALSE(at::equal(first.image, paint_random_shapes(size, {}, RandomStream(2)).image));
}

TEST(RandomShapes, KeepSomeStrongContrasts) {
  RandomShapes shapes{.count = {30, 30}, .texture = 0.0, .contrast = 0.1, .body = {0.3, 0.3}};
  const auto brightest = [&] {
    float value = 0.0F;
    for (const std::uint64_t seed : {1, 2, 3, 4, 5, 6}) {
      const PaintedShapes painted = paint_random_shapes({1, 96, 96}, shapes, RandomStream(seed));
      value = std::max(value, painted.image.max().item<float>());
    }
    return value;
  };
  EXPECT_LE(brightest(), 0.3F + 0.1F * 0.7F + 1e-5F);
  shapes.strong = 0.5;
  EXPECT_GT(brightest(), 0.7F);
  shapes.largest = 0.6;
  EXPECT_GT(brightest(), 0.45F);
  EXPECT_LE(brightest(), 0.6F + 1e-5F);
}

TEST(RandomShapes, HaveAsManyShapesAsAskedFor) {
  const PaintedShapes body =
      paint_random_shapes({1, 64, 64}, {.count = {0, 0}, .texture = 0.0}, RandomStream(4));
  EXPECT_EQ(body.labels.max().item<std::int64_t>(), static_cast<std::int64_t>(ShapeClass::kBody));
  const PaintedShapes cracks =
      paint_random_shapes({1, 256, 256}, {.count = {20, 20}, .cracks = 1.0}, RandomStream(4));
  EXPECT_EQ(cracks.labels.max().item<std::int64_t>(),
            static_cast<std::int64_t>(ShapeClass::kCrack));
}

}  // namespace
}  // namespace triptych
