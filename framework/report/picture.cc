// SPDX-License-Identifier: Apache-2.0
#include "framework/report/picture.h"

#include "framework/core/error.h"
#include "framework/report/font.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace triptych {
namespace {

double distance_to_segment(PointPx p, PointPx from, PointPx to) {
  const double dx = to.x - from.x;
  const double dy = to.y - from.y;
  const double squared = dx * dx + dy * dy;
  const double t = squared > 0
                       ? std::clamp(((p.x - from.x) * dx + (p.y - from.y) * dy) / squared, 0.0, 1.0)
                       : 0.0;
  return std::hypot(p.x - from.x - t * dx, p.y - from.y - t * dy);
}

int aligned(Align align, int free) {
  return align == Align::kStart ? 0 : align == Align::kCentre ? free / 2 : free;
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (true) {
    const auto end = text.find('\n');
    lines.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return lines;
    text.remove_prefix(end + 1);
  }
}

}  // namespace

Picture::Picture(int width_px, int height_px, Rgb background) : width(width_px), height(height_px) {
  TRIPTYCH_ASSERT(width_px >= 0 && height_px >= 0);
  rgb.resize(static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * 3);
  fill_rectangle(*this, 0, 0, width, height, background);
}

Rgb Picture::at(int x, int y) const {
  TRIPTYCH_ASSERT(contains(x, y));
  const std::uint8_t* p =
      &rgb[3 * (static_cast<std::size_t>(y) * static_cast<std::size_t>(width) + x)];
  return {p[0], p[1], p[2]};
}

void Picture::set(int x, int y, Rgb colour) {
  if (!contains(x, y)) return;
  std::uint8_t* p = &rgb[3 * (static_cast<std::size_t>(y) * static_cast<std::size_t>(width) + x)];
  p[0] = colour.r;
  p[1] = colour.g;
  p[2] = colour.b;
}

void Picture::blend(int x, int y, Rgb colour, double alpha) {
  if (contains(x, y)) set(x, y, mix(at(x, y), colour, alpha));
}

void fill_rectangle(Picture& picture, int left, int top, int width, int height, Rgb colour) {
  const int right = std::min(left + width, picture.width);
  const int bottom = std::min(top + height, picture.height);
  for (int y = std::max(top, 0); y < bottom; ++y) {
    for (int x = std::max(left, 0); x < right; ++x) picture.set(x, y, colour);
  }
}

// Coverage of a pixel is approximated by how far its centre lies inside the edge, over one pixel's
// width.
void draw_line(Picture& picture, PointPx from, PointPx to, Rgb colour, double thickness) {
  const double reach = thickness / 2 + 0.5;
  const int left = std::max(0, static_cast<int>(std::floor(std::min(from.x, to.x) - reach)));
  const int top = std::max(0, static_cast<int>(std::floor(std::min(from.y, to.y) - reach)));
  const int right =
      std::min(picture.width - 1, static_cast<int>(std::ceil(std::max(from.x, to.x) + reach)));
  const int bottom =
      std::min(picture.height - 1, static_cast<int>(std::ceil(std::max(from.y, to.y) + reach)));
  for (int y = top; y <= bottom; ++y) {
    for (int x = left; x <= right; ++x) {
      const double distance = distance_to_segment({double(x), double(y)}, from, to);
      const double alpha = std::clamp(reach - distance, 0.0, std::min(thickness, 1.0));
      if (alpha > 0) picture.blend(x, y, colour, alpha);
    }
  }
}

int text_width(std::string_view utf8, int scale) {
  const auto count = static_cast<int>(glyphs_of(utf8).size());
  return count == 0 ? 0 : (count * kGlyphAdvance - (kGlyphAdvance - kGlyphWidth)) * scale;
}

int text_height(int scale) { return kGlyphHeight * scale; }

void draw_text(Picture& picture, int left, int top, std::string_view utf8, Rgb colour, int scale) {
  for (const Glyph& glyph : glyphs_of(utf8)) {
    for (int row = 0; row < kGlyphHeight; ++row) {
      for (int column = 0; column < kGlyphWidth; ++column) {
        const bool inked = glyph[static_cast<std::size_t>(row)] >> (kGlyphWidth - 1 - column) & 1;
        if (inked) {
          fill_rectangle(picture, left + column * scale, top + row * scale, scale, scale, colour);
        }
      }
    }
    left += kGlyphAdvance * scale;
  }
}

void draw_outlined_text(Picture& picture,
                        int left,
                        int top,
                        std::string_view utf8,
                        Rgb colour,
                        Rgb outline,
                        int scale) {
  for (int dy = -1; dy <= 1; ++dy) {
    for (int dx = -1; dx <= 1; ++dx) draw_text(picture, left + dx, top + dy, utf8, outline, scale);
  }
  draw_text(picture, left, top, utf8, colour, scale);
}

void blit(Picture& target, const Picture& source, int left, int top) {
  for (int y = 0; y < source.height; ++y) {
    for (int x = 0; x < source.width; ++x) target.set(left + x, top + y, source.at(x, y));
  }
}

Picture upscale(const Picture& picture, int factor) {
  TRIPTYCH_ASSERT(factor >= 1);
  Picture large(picture.width * factor, picture.height * factor);
  for (int y = 0; y < large.height; ++y) {
    for (int x = 0; x < large.width; ++x) large.set(x, y, picture.at(x / factor, y / factor));
  }
  return large;
}

Picture stack_horizontally(std::span<const Picture> pictures, const StackStyle& style) {
  int width = 2 * style.margin;
  int height = 0;
  for (const Picture& picture : pictures) {
    width += picture.width + (&picture == pictures.data() ? 0 : style.gap);
    height = std::max(height, picture.height);
  }
  Picture row(width, height + 2 * style.margin, style.background);
  int left = style.margin;
  for (const Picture& picture : pictures) {
    blit(row, picture, left, style.margin + aligned(style.align, height - picture.height));
    left += picture.width + style.gap;
  }
  return row;
}

Picture stack_vertically(std::span<const Picture> pictures, const StackStyle& style) {
  int width = 0;
  int height = 2 * style.margin;
  for (const Picture& picture : pictures) {
    height += picture.height + (&picture == pictures.data() ? 0 : style.gap);
    width = std::max(width, picture.width);
  }
  Picture column(width + 2 * style.margin, height, style.background);
  int top = style.margin;
  for (const Picture& picture : pictures) {
    blit(column, picture, style.margin + aligned(style.align, width - picture.width), top);
    top += picture.height + style.gap;
  }
  return column;
}

Picture with_caption(const Picture& picture, std::string_view text, const CaptionStyle& style) {
  const std::vector<std::string_view> lines = lines_of(text);
  const int pad = 3 * style.scale;
  const int line_height = text_height(style.scale) + 2 * style.scale;
  int width = picture.width;
  for (const std::string_view line : lines) {
    width = std::max(width, text_width(line, style.scale) + 2 * pad);
  }
  Picture whole(
      width, picture.height + pad + static_cast<int>(lines.size()) * line_height, style.background);
  blit(whole, picture, (width - picture.width) / 2, 0);
  int top = picture.height + pad;
  for (const std::string_view line : lines) {
    const int left = (width - text_width(line, style.scale)) / 2;
    draw_text(whole, left, top, line, style.colour, style.scale);
    top += line_height;
  }
  return whole;
}

}  // namespace triptych
