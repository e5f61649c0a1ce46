// SPDX-License-Identifier: Apache-2.0
#include "framework/report/slice_view.h"

#include "framework/core/error.h"
#include "framework/report/plane_row.h"

#include <cmath>
#include <numeric>

#include <gtest/gtest.h>

namespace triptych {
namespace {

SliceView ramp(int width, int height) {
  SliceView slice;
  slice.image = {width, height, std::vector<float>(static_cast<std::size_t>(width * height))};
  std::iota(slice.image.values.begin(), slice.image.values.end(), 0.0f);
  return slice;
}

SliceView with_square_label(int size, std::int32_t value) {
  SliceView slice = ramp(size, size);
  slice.labels = {size, size, std::vector<std::int32_t>(static_cast<std::size_t>(size * size))};
  for (int y = size / 4; y < 3 * size / 4; ++y) {
    for (int x = size / 4; x < 3 * size / 4; ++x)
      slice.labels.values[static_cast<std::size_t>(y * size + x)] = value;
  }
  return slice;
}

const SliceStyle kBare{.scale_bar = false};

TEST(SliceView, AtScaleOneEveryPixelShowsItsValueInTheWindow) {
  const Picture picture = draw_slice(ramp(4, 4), {0, 15}, {}, kBare, 1.0);
  ASSERT_EQ(picture.width, 4);
  for (int i = 0; i < 16; ++i) EXPECT_EQ(picture.at(i % 4, i / 4).g, 17 * i);
}

TEST(SliceView, ValuesBeyondTheWindowSaturate) {
  const Picture picture = draw_slice(ramp(4, 4), {5, 10}, {}, kBare, 1.0);
  EXPECT_EQ(picture.at(0, 0), kBlack);
  EXPECT_EQ(picture.at(3, 3), kWhite);
}

TEST(SliceView, NotANumberIsMarkedAndDoesNotSpreadAtScaleOne) {
  SliceView slice = ramp(3, 3);
  slice.image.values[4] = std::nanf("");
  const Picture picture = draw_slice(slice, {0, 8}, {}, kBare, 1.0);
  EXPECT_EQ(picture.at(1, 1), kNotANumberColour);
  EXPECT_EQ(picture.at(0, 1).r, picture.at(0, 1).g);
}

TEST(SliceView, AnisotropicSpacingGivesSquarePixels) {
  SliceView slice = ramp(10, 10);
  slice.spacing = {0.5, 2.0, true};
  const Picture picture = draw_slice(slice, {0, 99}, {}, kBare, 2.0);
  EXPECT_EQ(picture.width, 10);
  EXPECT_EQ(picture.height, 40);
}

TEST(SliceView, ShrinkingAveragesInsteadOfSkipping) {
  SliceView slice = ramp(64, 64);
  for (std::size_t i = 0; i < slice.image.values.size(); ++i)
    slice.image.values[i] = (i + i / 64) % 2;
  const Picture picture = draw_slice(slice, {0, 1}, {}, kBare, 0.25);
  EXPECT_EQ(picture.width, 16);
  EXPECT_NEAR(picture.at(7, 7).r, 128, 2);
}

TEST(SliceView, ContourLiesInsideTheClassAndLeavesTheInteriorClear) {
  const SliceView slice = with_square_label(32, 3);
  const Rgb red{255, 0, 0};
  const Picture plain = draw_slice(with_square_label(32, 0), {0, 1023}, {}, kBare, 1.0);
  const Picture picture = draw_slice(slice, {0, 1023}, {{3, "three", red}}, kBare, 1.0);
  EXPECT_EQ(picture.at(8, 16), red);
  EXPECT_EQ(picture.at(7, 16), plain.at(7, 16));
  EXPECT_EQ(picture.at(16, 16), plain.at(16, 16));
}

TEST(SliceView, FillMixesTheClassColourIntoTheInterior) {
  SliceStyle style = kBare;
  style.contour_px = 0;
  style.fill_alpha = 1;
  const Picture picture =
      draw_slice(with_square_label(32, 3), {0, 1}, {{3, "three", {1, 2, 3}}}, style, 1.0);
  EXPECT_EQ(picture.at(16, 16), (Rgb{1, 2, 3}));
  EXPECT_EQ(picture.at(8, 12), (Rgb{1, 2, 3}));
}

TEST(SliceView, ValuesThatTheClassTableLacksStayUndrawn) {
  const std::vector<LegendClass> other = {{1, "one", {1, 2, 3}}};
  const Picture with = draw_slice(with_square_label(32, 3), {0, 1023}, other, kBare, 1.0);
  const Picture without = draw_slice(with_square_label(32, 0), {0, 1023}, other, kBare, 1.0);
  EXPECT_EQ(with.rgb, without.rgb);
}

TEST(SliceView, LabelsOfAnotherSizeAreAGeometryError) {
  SliceView slice = ramp(4, 4);
  slice.labels = {2, 2, {0, 0, 0, 0}};
  try {
    draw_slice(slice, {0, 1}, {}, kBare, 1.0);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.category(), "geometry");
  }
}

TEST(SliceView, ScaleBarHasANiceLengthInPixels) {
  SliceView slice = ramp(200, 200);
  slice.spacing = {0.01, 0.01, true};
  const Picture picture = draw_slice(slice, {0, 1e9}, {}, {}, 100.0);
  int white = 0;
  for (int x = 0; x < 200; ++x) white += picture.at(x, 190) == kWhite;
  EXPECT_EQ(white, 50);  // 0.5 mm at 100 px per mm; a third of the width would be 0.66 mm
}

TEST(SliceView, NiceLengthsAreOneTwoFiveTimesAPowerOfTen) {
  EXPECT_DOUBLE_EQ(nice_length(0.66), 0.5);
  EXPECT_DOUBLE_EQ(nice_length(1.0), 1.0);
  EXPECT_DOUBLE_EQ(nice_length(49.0), 20.0);
  EXPECT_DOUBLE_EQ(nice_length(0.0011), 0.001);
}

TEST(PercentileWindow, IgnoresOutliersAndNotANumber) {
  std::vector<float> values(1001);
  std::iota(values.begin(), values.end(), 0.0f);
  values[0] = -1e30f;
  values[1000] = 1e30f;
  values.push_back(std::nanf(""));
  const Window window = percentile_window(values, 1, 99);
  EXPECT_NEAR(window.lo, 10, 1);
  EXPECT_NEAR(window.hi, 990, 1);
}

TEST(PercentileWindow, IsNeverEmpty) {
  EXPECT_LT(percentile_window({}).lo, percentile_window({}).hi);
  const std::vector<float> constant(100, 5e8f);
  EXPECT_LT(percentile_window(constant).lo, percentile_window(constant).hi);
  std::vector<float> rare(1000, 0.0f);
  rare[3] = 1.0f;
  EXPECT_EQ(percentile_window(rare).hi, 1.0);
}

TEST(CommonScale, EnlargesSmallSlicesByWholeFactorsAndShrinksLargeOnes) {
  const SliceStyle style{.min_side_px = 256, .max_side_px = 640};
  const auto scale_of = [&](int size) {
    return common_scale(std::vector<SliceView>{ramp(size, size)}, style);
  };
  EXPECT_DOUBLE_EQ(scale_of(64), 4);
  EXPECT_DOUBLE_EQ(scale_of(384), 1);
  EXPECT_DOUBLE_EQ(scale_of(1280), 0.5);
}

class PlaneOf : public testing::Test {
 protected:
  PlaneOf() : values_(2 * 3 * 4) {
    std::iota(values_.begin(), values_.end(), 0.0f);
    volume_ = {
        .size_xyz = {2, 3, 4}, .spacing_xyz = {1, 2, 3}, .spacing_in_mm = true, .values = values_};
  }
  float voxel(int x, int y, int z) const {
    return values_[static_cast<std::size_t>((z * 3 + y) * 2 + x)];
  }
  std::vector<float> values_;
  VolumeSpan volume_;
};

TEST_F(PlaneOf, AxialSlicesShowXToTheRightAndYDown) {
  const SliceView slice = plane_of(volume_, Plane::kAxial, 3);
  EXPECT_EQ(slice.image.width, 2);
  EXPECT_EQ(slice.image.height, 3);
  EXPECT_EQ(slice.spacing.y, 2);
  EXPECT_EQ(slice.count, 4);
  EXPECT_EQ(slice.image.values[1], voxel(1, 0, 3));
  EXPECT_EQ(slice.image.values[2], voxel(0, 1, 3));
}

TEST_F(PlaneOf, CoronalAndSagittalSlicesShowZUpwards) {
  const SliceView coronal = plane_of(volume_, Plane::kCoronal, 1);
  EXPECT_EQ(coronal.axis, 'y');
  EXPECT_EQ(coronal.spacing.y, 3);
  EXPECT_EQ(coronal.image.values.front(), voxel(0, 1, 3));
  EXPECT_EQ(coronal.image.values.back(), voxel(1, 1, 0));
  const SliceView sagittal = plane_of(volume_, Plane::kSagittal, 1);
  EXPECT_EQ(sagittal.image.width, 3);
  EXPECT_EQ(sagittal.spacing.x, 2);
  EXPECT_EQ(sagittal.image.values[1], voxel(1, 1, 3));
}

TEST_F(PlaneOf, ThreePlanesAreDrawnAtOneScaleWithOneWindow) {
  int asked = 0;
  const auto read = [&](Plane plane) {
    ++asked;
    return plane_of(volume_, plane, 1);
  };
  const Picture picture = three_planes(read, {{1, "bone", kWhite}}, {.min_side_px = 60}, "title");
  EXPECT_EQ(asked, 3);
  EXPECT_GT(picture.width, 3 * text_width("sagittal"));
  EXPECT_GT(picture.height, 60);
}

TEST(DrawRow, NamesThePlaceOnAnAxisOfSeveralSlicesOnly) {
  const auto drawn = [](char axis, int count) {
    SliceView slice = ramp(4, 4);
    slice.axis = axis;
    slice.count = count;
    return draw_row({&slice, 1}, {}, {}, "title").rgb;
  };
  EXPECT_NE(drawn('z', 2), drawn('y', 2));
  EXPECT_EQ(drawn('z', 1), drawn('y', 1)) << "a slice of its own has no place";
}

}  // namespace
}  // namespace triptych
