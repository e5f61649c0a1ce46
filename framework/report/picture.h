// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/report/colour.h"

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace triptych {

/// An RGB raster: rows from the top, 3 bytes a pixel, no padding. Drawing outside of it is cut off.
struct Picture {
  int width = 0;
  int height = 0;
  std::vector<std::uint8_t> rgb;

  Picture() = default;
  Picture(int width_px, int height_px, Rgb background = kBlack);

  bool contains(int x, int y) const { return x >= 0 && y >= 0 && x < width && y < height; }
  /// The colour of a pixel inside the picture.
  Rgb at(int x, int y) const;
  /// Sets a pixel; outside the picture nothing happens.
  void set(int x, int y, Rgb colour);
  /// Mixes `colour` over a pixel with `alpha` in [0, 1].
  void blend(int x, int y, Rgb colour, double alpha);
};

struct PointPx {
  double x = 0;
  double y = 0;
};

void fill_rectangle(Picture& picture, int left, int top, int width, int height, Rgb colour);

/// An antialiased line with round ends; pixel centres lie at integer coordinates.
void draw_line(Picture& picture, PointPx from, PointPx to, Rgb colour, double thickness = 1.0);

/// Width and height in pixels of one line of text in the built-in font; `scale` >= 1 is the size of
/// a font pixel.
int text_width(std::string_view utf8, int scale = 1);
int text_height(int scale = 1);
/// Draws one line of text; (left, top) is the corner of its box.
void draw_text(
    Picture& picture, int left, int top, std::string_view utf8, Rgb colour, int scale = 1);
/// Text with a thin outline, legible on any background.
void draw_outlined_text(Picture& picture,
                        int left,
                        int top,
                        std::string_view utf8,
                        Rgb colour,
                        Rgb outline,
                        int scale = 1);

/// Copies `source` so that its top left pixel lies at (left, top).
void blit(Picture& target, const Picture& source, int left, int top);

/// Every pixel becomes factor x factor pixels.
Picture upscale(const Picture& picture, int factor);

enum class Align { kStart, kCentre, kEnd };

/// Layout of stacked pictures.
struct StackStyle {
  int gap = 8;
  int margin = 0;
  Align align = Align::kCentre;
  Rgb background = kBlack;
};
Picture stack_horizontally(std::span<const Picture> pictures, const StackStyle& style = {});
Picture stack_vertically(std::span<const Picture> pictures, const StackStyle& style = {});

struct CaptionStyle {
  Rgb colour{225, 225, 225};
  Rgb background = kBlack;
  int scale = 1;
};
/// The picture with lines of text ('\n') below it; wider than the picture if the text is.
Picture with_caption(const Picture& picture, std::string_view text, const CaptionStyle& style = {});

/// The bytes of an 8-bit RGB PNG file.
std::string encode_png(const Picture& picture);
/// Writes the file whole or not at all.
void write_png(const std::filesystem::path& path, const Picture& picture);

}  // namespace triptych
