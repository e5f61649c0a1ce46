// SPDX-License-Identifier: Apache-2.0
#include "framework/report/pair_row.h"

#include <gtest/gtest.h>

namespace triptych {
namespace {

SliceView constant(float value, int size = 256) {
  SliceView slice;
  slice.name = "axial";
  slice.image = {size, size, std::vector<float>(static_cast<std::size_t>(size * size), value)};
  return slice;
}

std::size_t count(const Picture& picture, Rgb colour) {
  std::size_t found = 0;
  for (int y = 0; y < picture.height; ++y) {
    for (int x = 0; x < picture.width; ++x) found += picture.at(x, y) == colour ? 1U : 0U;
  }
  return found;
}

constexpr std::size_t kPixels = std::size_t{256} * 256;

TEST(PairRow, CheckerboardShowsHalfOfEachImage) {
  const std::vector<SliceView> fixed = {constant(0.4F)}, warped = {constant(0.8F)};
  const Picture picture = draw_checkerboard(fixed, warped, "");
  EXPECT_NEAR(static_cast<double>(count(picture, {102, 102, 102})), 0.5 * kPixels, 0.03 * kPixels);
  EXPECT_NEAR(static_cast<double>(count(picture, {204, 204, 204})), 0.5 * kPixels, 0.03 * kPixels);
}

TEST(PairRow, OverlayIsGreyWhereTheImagesAgree) {
  const std::vector<SliceView> bright = {constant(0.8F)}, dark = {constant(0.0F)};
  EXPECT_GT(count(draw_overlay(bright, bright, ""), {204, 204, 204}), kPixels * 9 / 10);
  EXPECT_GT(count(draw_overlay(bright, dark, ""), {204, 102, 0}), kPixels * 9 / 10);
  EXPECT_GT(count(draw_overlay(dark, bright, ""), {0, 101, 204}), kPixels * 9 / 10);
}

TEST(PairRow, GridLinesMoveWithTheDisplacement) {
  const std::vector<SliceView> slices = {constant(0.0F)};
  SliceDisplacement none{constant(0.0F).image, constant(0.0F).image};
  SliceDisplacement shifted{constant(3.0F).image, constant(0.0F).image};
  const Picture before = draw_deformed_grid(slices, {&none, 1}, "");
  const Picture after = draw_deformed_grid(slices, {&shifted, 1}, "");
  int column = 60;  // a vertical line between two horizontal ones
  while (before.at(column, 40) == kBlack && column < 90) ++column;
  EXPECT_LT(column, 90);
  EXPECT_EQ(before.at(column, 40), after.at(column + 3, 40));
}

}  // namespace
}  // namespace triptych
