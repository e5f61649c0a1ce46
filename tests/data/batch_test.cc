// SPDX-License-Identifier: Apache-2.0
#include "framework/data/batch.h"

#include "tests/support/tensor_matchers.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {

Entry numbered_image(float value) {
  Entry entry;
  entry.data = at::full({1, 1, 2, 2}, value);
  entry.geometry.shape = {1, 2, 2};
  entry.geometry.origin[0] = value;
  return entry;
}

Entry marked_points(std::int64_t count) {
  Entry entry;
  entry.kind = EntryKind::kPoints;
  entry.data = at::zeros({count, 3}, at::kDouble);
  return entry;
}

/// Items a, b, c; all have an image, a and c have a clean one, b and c have points.
Batch partly_filled() {
  std::vector<Sample> samples(3);
  for (std::size_t n = 0; n < 3; ++n) {
    samples[n].id = std::string(1, static_cast<char>('a' + n));
    samples[n].entries["image"] = numbered_image(static_cast<float>(n));
    if (n != 1) samples[n].entries["clean"] = numbered_image(10.0F + static_cast<float>(n));
    if (n != 0) samples[n].entries["points"] = marked_points(static_cast<std::int64_t>(n));
  }
  return collate(samples);
}

TEST(Batch, NamesTheItemsThatHaveAllRoles) {
  const Batch batch = partly_filled();
  EXPECT_EQ(batch.items_with({}), (std::vector<std::int64_t>{0, 1, 2}));
  EXPECT_EQ(batch.items_with({"image", "clean"}), (std::vector<std::int64_t>{0, 2}));
  EXPECT_EQ(batch.items_with({"clean", "points"}), (std::vector<std::int64_t>{2}));
  EXPECT_TRUE(batch.items_with({"image", "label"}).empty());
}

TEST(Batch, RowsAreNumberedAnewInTheOrderAskedFor) {
  const Batch rows = partly_filled().rows({2, 1});
  EXPECT_EQ(rows.ids, (std::vector<std::string>{"c", "b"}));
  EXPECT_EQ(rows.at("image").items, (std::vector<std::int64_t>{0, 1}));
  EXPECT_EQ(rows.at("image").data.flatten()[0].item<float>(), 2.0F);
  EXPECT_EQ(rows.at("image").geometry[1].origin[0], 1.0);
  EXPECT_EQ(rows.at("clean").items, (std::vector<std::int64_t>{0}));
  EXPECT_EQ(rows.at("clean").data.flatten()[0].item<float>(), 12.0F);
  EXPECT_EQ(rows.at("points").points[0].size(0), 2);
  EXPECT_EQ(rows.at("points").points[1].size(0), 1);
}

TEST(Batch, RolesThatNoRowHasAreAbsentAndAllRowsAreTheBatchItself) {
  const Batch batch = partly_filled();
  EXPECT_FALSE(batch.rows({1}).has("clean"));
  EXPECT_TRUE(batch.rows({0, 1, 2}).at("image").data.is_same(batch.at("image").data));
}

TEST(Batch, MaskHoldsTheValidPart) {
  BatchEntry entry = partly_filled().at("image");
  EXPECT_FALSE(entry.mask().defined());
  entry.valid = Region{{0, 0, 1}, {1, 2, 1}};
  const at::Tensor expected =
      at::tensor({0, 1, 0, 1}).to(at::kBool).reshape({1, 1, 1, 2, 2}).expand({3, 1, 1, 2, 2});
  EXPECT_TRUE(at::equal(entry.mask(), expected));
}

}  // namespace
}  // namespace triptych
