// SPDX-License-Identifier: Apache-2.0
#include "framework/report/pair_row.h"

#include "framework/core/error.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace triptych {
namespace {

constexpr Window kUnit{0.0, 1.0};
// Red and blue share the green, so that equal greys add up to a grey.
constexpr Rgb kFixedColour{255, 128, 0};
constexpr Rgb kWarpedColour{0, 127, 255};
constexpr Rgb kGridColour{255, 200, 40};
constexpr int kGridLines = 24;  ///< along the longer side

SliceStyle plain() {
  SliceStyle style;
  style.window = kUnit;
  return style;
}

void check_pairs(std::span<const SliceView> fixed, std::span<const SliceView> warped) {
  TRIPTYCH_ASSERT(!fixed.empty() && fixed.size() == warped.size());
  for (std::size_t i = 0; i < fixed.size(); ++i) {
    TRIPTYCH_ASSERT(fixed[i].image.width == warped[i].image.width);
    TRIPTYCH_ASSERT(fixed[i].image.height == warped[i].image.height);
  }
}

std::uint8_t channel(int fixed, std::uint8_t fixed_share, int warped, std::uint8_t warped_share) {
  return static_cast<std::uint8_t>(
      std::min(255, (fixed * fixed_share + warped * warped_share) / 255));
}

Picture mixed(const Picture& fixed, const Picture& warped) {
  Picture picture(fixed.width, fixed.height);
  for (int y = 0; y < picture.height; ++y) {
    for (int x = 0; x < picture.width; ++x) {
      const int a = fixed.at(x, y).r;
      const int b = warped.at(x, y).r;
      picture.set(x,
                  y,
                  {channel(a, kFixedColour.r, b, kWarpedColour.r),
                   channel(a, kFixedColour.g, b, kWarpedColour.g),
                   channel(a, kFixedColour.b, b, kWarpedColour.b)});
    }
  }
  return picture;
}

/// A pixel's centre of the slice, displaced, in pixels of the picture.
PointPx displaced(const SliceDisplacement& displacement, int column, int row, const Picture& on) {
  const FloatImage& image = displacement.right;
  const std::size_t pixel = static_cast<std::size_t>(row) * static_cast<std::size_t>(image.width) +
                            static_cast<std::size_t>(column);
  const auto scaled = [](double position, int pixels, int size) {
    return (position + 0.5) * pixels / size - 0.5;
  };
  return {scaled(column + displacement.right.values[pixel], on.width, image.width),
          scaled(row + displacement.down.values[pixel], on.height, image.height)};
}

void draw_grid(Picture& picture, const SliceDisplacement& displacement) {
  const int width = displacement.right.width;
  const int height = displacement.right.height;
  const int step = std::max(1, std::max(width, height) / kGridLines);
  const auto line = [&](int c0, int r0, int c1, int r1) {
    draw_line(picture,
              displaced(displacement, c0, r0, picture),
              displaced(displacement, c1, r1, picture),
              kGridColour);
  };
  for (int row = step / 2; row < height; row += step) {
    for (int column = 0; column + 1 < width; ++column) line(column, row, column + 1, row);
  }
  for (int column = step / 2; column < width; column += step) {
    for (int row = 0; row + 1 < height; ++row) line(column, row, column, row + 1);
  }
}

}  // namespace

Picture draw_checkerboard(std::span<const SliceView> fixed,
                          std::span<const SliceView> warped,
                          const std::string& title,
                          int fields) {
  check_pairs(fixed, warped);
  std::vector<SliceView> boards(fixed.begin(), fixed.end());
  for (std::size_t i = 0; i < boards.size(); ++i) {
    FloatImage& image = boards[i].image;
    const PixelSpacing& spacing = boards[i].spacing;
    const double edge =
        std::max(image.width * spacing.x, image.height * spacing.y) / std::max(1, fields);
    for (int row = 0; row < image.height; ++row) {
      for (int column = 0; column < image.width; ++column) {
        const auto field =
            static_cast<int>(row * spacing.y / edge) + static_cast<int>(column * spacing.x / edge);
        const std::size_t pixel =
            static_cast<std::size_t>(row) * static_cast<std::size_t>(image.width) +
            static_cast<std::size_t>(column);
        if (field % 2 != 0) image.values[pixel] = warped[i].image.values[pixel];
      }
    }
  }
  return draw_row(boards, {}, plain(), title);
}

Picture draw_overlay(std::span<const SliceView> fixed,
                     std::span<const SliceView> warped,
                     const std::string& title) {
  check_pairs(fixed, warped);
  const SliceStyle style = plain();
  const double scale = common_scale(fixed, style);
  std::vector<Picture> panels;
  for (std::size_t i = 0; i < fixed.size(); ++i) {
    panels.push_back(mixed(draw_slice(fixed[i], kUnit, {}, style, scale),
                           draw_slice(warped[i], kUnit, {}, style, scale)));
  }
  return captioned_row(fixed,
                       panels,
                       {legend_entry({1, "fixed", kFixedColour}),
                        legend_entry({2, "moving, warped", kWarpedColour})},
                       title);
}

Picture draw_deformed_grid(std::span<const SliceView> slices,
                           std::span<const SliceDisplacement> displacements,
                           const std::string& title) {
  TRIPTYCH_ASSERT(!slices.empty() && slices.size() == displacements.size());
  const SliceStyle style = plain();
  const double scale = common_scale(slices, style);
  std::vector<Picture> panels;
  for (std::size_t i = 0; i < slices.size(); ++i) {
    TRIPTYCH_ASSERT(displacements[i].right.values.size() == slices[i].image.values.size());
    TRIPTYCH_ASSERT(displacements[i].down.values.size() == slices[i].image.values.size());
    panels.push_back(draw_slice(slices[i], kUnit, {}, style, scale));
    draw_grid(panels.back(), displacements[i]);
  }
  return captioned_row(slices, panels, {}, title);
}

}  // namespace triptych
