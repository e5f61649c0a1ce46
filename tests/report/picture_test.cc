// SPDX-License-Identifier: Apache-2.0
#include "framework/report/picture.h"

#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/report/font.h"

#include "tests/report/scratch.h"

#include <cmath>
#include <set>

#include <gtest/gtest.h>
#include <png.h>

namespace triptych {
namespace {

Picture decode_png(const std::string& bytes) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  EXPECT_TRUE(png_image_begin_read_from_memory(&image, bytes.data(), bytes.size()))
      << image.message;
  image.format = PNG_FORMAT_RGB;
  Picture picture(static_cast<int>(image.width), static_cast<int>(image.height));
  EXPECT_TRUE(png_image_finish_read(&image, nullptr, picture.rgb.data(), 0, nullptr));
  return picture;
}

int count_of(const Picture& picture, Rgb colour) {
  int count = 0;
  for (int y = 0; y < picture.height; ++y) {
    for (int x = 0; x < picture.width; ++x) count += picture.at(x, y) == colour;
  }
  return count;
}

TEST(Colour, MapsRunBetweenTheirEndsAndShowNotANumber) {
  EXPECT_EQ(colour_of(ColourMap::kGray, 0.0), kBlack);
  EXPECT_EQ(colour_of(ColourMap::kGray, 7.0), kWhite);
  EXPECT_EQ(colour_of(ColourMap::kViridis, 0.0), (Rgb{68, 1, 84}));
  EXPECT_EQ(colour_of(ColourMap::kRdBu, 0.5), (Rgb{246, 246, 246}));
  EXPECT_GT(colour_of(ColourMap::kRdBu, 0.1).r, colour_of(ColourMap::kRdBu, 0.1).b);
  EXPECT_EQ(colour_of(ColourMap::kGray, std::nan("")), kNotANumberColour);
}

TEST(Colour, ReadsAndWritesHexAndRefusesTheRest) {
  EXPECT_EQ(hex(rgb_from_hex("#1fA0c3")), "#1fa0c3");
  EXPECT_EQ(rgb_from_hex("#fa0"), (Rgb{255, 170, 0}));
  EXPECT_THROW(rgb_from_hex("red"), Error);
  EXPECT_THROW(rgb_from_hex("#12345g"), Error);
  EXPECT_THROW(colour_map_from_name("jet"), Error);
}

TEST(Colour, ClassColoursDifferFarBeyondThePalette) {
  std::set<std::string> colours;
  for (int i = 0; i < 40; ++i) colours.insert(hex(class_colour(i)));
  EXPECT_EQ(colours.size(), 40u);
}

TEST(Picture, PngIsReadBackPixelByPixel) {
  Picture picture(37, 5);
  for (int i = 0; i < 37 * 5 * 3; ++i)
    picture.rgb[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(i * 7);
  const ScratchFolder scratch;
  write_png(scratch / "sub/x.png", picture);
  const Picture back = decode_png(read_file(scratch / "sub/x.png"));
  EXPECT_EQ(back.width, 37);
  EXPECT_EQ(back.height, 5);
  EXPECT_EQ(back.rgb, picture.rgb);
}

TEST(Picture, EmptyPictureIsNoPng) { EXPECT_THROW(encode_png(Picture()), Error); }

TEST(Picture, DrawingOutsideIsCutOff) {
  Picture picture(8, 8);
  fill_rectangle(picture, -5, 6, 100, 100, kWhite);
  EXPECT_EQ(count_of(picture, kWhite), 16);
  draw_text(picture, -3, -4, "clipped text", kWhite, 3);
  draw_line(picture, {-20, -20}, {40, 40}, kWhite, 2);
  blit(picture, Picture(20, 20, kWhite), -10, 5);
  EXPECT_EQ(picture.at(0, 5), kWhite);
}

TEST(Picture, LineIsFullInTheMiddleAndFadesAtTheEdge) {
  Picture picture(20, 20);
  draw_line(picture, {0, 0}, {19, 19}, kWhite, 2);
  EXPECT_EQ(picture.at(10, 10), kWhite);
  const Rgb edge = picture.at(11, 10);
  EXPECT_GT(edge.r, 0);
  EXPECT_LT(picture.at(12, 10).r, edge.r);
  EXPECT_EQ(picture.at(19, 0), kBlack);
}

TEST(Picture, EveryAsciiGlyphIsDistinctAndInked) {
  std::set<Glyph> glyphs;
  for (char c = '!'; c <= '~'; ++c) glyphs.insert(glyphs_of(std::string(1, c)).at(0));
  EXPECT_EQ(glyphs.size(), 94u);
  EXPECT_FALSE(glyphs.contains(Glyph{}));
}

TEST(Picture, TextIsMeasuredInGlyphsNotBytes) {
  EXPECT_EQ(text_width("µm"), text_width("mm"));
  EXPECT_EQ(text_width("ab", 3), 3 * text_width("ab"));
  EXPECT_EQ(text_width(""), 0);
  EXPECT_EQ(glyphs_of("\xe6\x97\xa5").size(), 1u);  // an undrawn character is one box
  EXPECT_EQ(glyphs_of("\xff\xc3").size(), 2u);      // broken UTF-8 does no harm
}

TEST(Picture, UpscalingRepeatsPixels) {
  Picture picture(2, 1);
  picture.set(1, 0, kWhite);
  const Picture large = upscale(picture, 3);
  EXPECT_EQ(large.width, 6);
  EXPECT_EQ(large.height, 3);
  EXPECT_EQ(large.at(2, 2), kBlack);
  EXPECT_EQ(large.at(3, 2), kWhite);
}

TEST(Picture, StacksKeepGapsMarginsAndAlignment) {
  const std::vector<Picture> two = {Picture(4, 10, kWhite), Picture(6, 4, kWhite)};
  const Picture row = stack_horizontally(two, {.gap = 3, .margin = 2, .align = Align::kEnd});
  EXPECT_EQ(row.width, 4 + 3 + 6 + 4);
  EXPECT_EQ(row.height, 14);
  EXPECT_EQ(count_of(row, kWhite), 64);
  EXPECT_EQ(row.at(9, 7), kBlack);
  EXPECT_EQ(row.at(9, 8), kWhite);
  const Picture column = stack_vertically(two, {.gap = 1});
  EXPECT_EQ(column.width, 6);
  EXPECT_EQ(column.height, 15);
  EXPECT_EQ(stack_vertically({}).height, 0);
}

TEST(Picture, CaptionWidensThePictureAndStandsBelow) {
  const Picture whole = with_caption(Picture(10, 10, kWhite), "a long caption\nof two lines");
  EXPECT_GE(whole.width, text_width("a long caption"));
  EXPECT_GE(whole.height, 10 + 2 * text_height());
  EXPECT_EQ(count_of(whole, kWhite), 100);
}

}  // namespace
}  // namespace triptych
