// SPDX-License-Identifier: Apache-2.0
#include "framework/report/plane_row.h"

#include "framework/core/error.h"

#include <algorithm>
#include <set>

namespace triptych {
namespace {

constexpr Rgb kPaper{16, 16, 18};
constexpr Rgb kText{225, 225, 228};
constexpr int kRowGap = 10;

Window shared_window(std::span<const SliceView> slices, const SliceStyle& style) {
  if (style.window) return *style.window;
  std::vector<float> values;
  for (const SliceView& slice : slices) {
    values.insert(values.end(), slice.image.values.begin(), slice.image.values.end());
  }
  return percentile_window(values);
}

std::string caption_of(const SliceView& slice) {
  const std::string spacing =
      slice.spacing.in_mm ? fmt::format("{:.4g} × {:.4g} mm", slice.spacing.x, slice.spacing.y)
                          : std::string("spacing unknown");
  if (slice.count == 1) return fmt::format("{}\n{}", slice.name, spacing);
  const std::string where = fmt::format("{} {} of 0–{}", slice.axis, slice.index, slice.count - 1);
  return fmt::format("{}\n{} · {}", slice.name, where, spacing);
}

/// The colour map between the two ends of the window.
Picture colour_bar(const Window& window, ColourMap map) {
  constexpr int kLength = 96;
  constexpr int kThickness = 9;
  const std::string lo = fmt::format("window {:.4g}", window.lo);
  const std::string hi = fmt::format("{:.4g}", window.hi);
  const int left = text_width(lo) + 6;
  Picture bar(left + kLength + 6 + text_width(hi), kThickness + 2, kPaper);
  draw_text(bar, 0, 1, lo, kText);
  for (int x = 0; x < kLength; ++x) {
    fill_rectangle(bar, left + x, 1, 1, kThickness, colour_of(map, x / (kLength - 1.0)));
  }
  draw_text(bar, left + kLength + 6, 1, hi, kText);
  return bar;
}

/// The class table, or a row for every value that occurs when there is none.
std::vector<LegendClass> legend_of(std::span<const SliceView> slices,
                                   const std::vector<LegendClass>& classes) {
  std::set<std::int32_t> present;
  for (const SliceView& slice : slices)
    present.insert(slice.labels.values.begin(), slice.labels.values.end());
  if (present.empty()) return {};
  std::vector<LegendClass> rows = classes;
  if (rows.empty()) {
    constexpr std::size_t kMostRows = 24;
    for (const std::int32_t value : present) {
      if (value == 0 || rows.size() == kMostRows) continue;
      rows.push_back(
          {value, fmt::format("label {}", value), class_colour(value > 0 ? value - 1 : -value)});
    }
  }
  std::erase_if(rows, [](const LegendClass& row) { return row.value == 0; });
  return rows;
}

/// Entries from left to right, broken into lines no wider than `width`.
Picture wrap(const std::vector<Picture>& entries, int width) {
  constexpr int kEntryGap = 16;
  const StackStyle inline_style{.gap = kEntryGap, .background = kPaper};
  std::vector<Picture> lines;
  std::vector<Picture> line;
  int used = 0;
  for (const Picture& entry : entries) {
    if (!line.empty() && used + kEntryGap + entry.width > width) {
      lines.push_back(stack_horizontally(line, inline_style));
      line.clear();
      used = 0;
    }
    used += entry.width + (line.empty() ? 0 : kEntryGap);
    line.push_back(entry);
  }
  lines.push_back(stack_horizontally(line, inline_style));
  return stack_vertically(lines, {.gap = 4, .background = kPaper});
}

}  // namespace

Picture draw_row(std::span<const SliceView> slices,
                 const std::vector<LegendClass>& classes,
                 const SliceStyle& style,
                 const std::string& title) {
  TRIPTYCH_ASSERT(!slices.empty());
  const Window window = shared_window(slices, style);
  const double scale = common_scale(slices, style);
  std::vector<Picture> panels;
  for (const SliceView& slice : slices)
    panels.push_back(draw_slice(slice, window, classes, style, scale));
  std::vector<Picture> legend = {colour_bar(window, style.colour_map)};
  for (const LegendClass& entry : legend_of(slices, classes)) legend.push_back(legend_entry(entry));
  return captioned_row(slices, panels, legend, title);
}

Picture captioned_row(std::span<const SliceView> slices,
                      const std::vector<Picture>& panels,
                      const std::vector<Picture>& legend,
                      const std::string& title) {
  TRIPTYCH_ASSERT(!slices.empty() && slices.size() == panels.size());
  int tallest = 0;
  for (const Picture& panel : panels) tallest = std::max(tallest, panel.height);
  std::vector<Picture> framed;
  for (std::size_t i = 0; i < panels.size(); ++i) {
    // Captions stand on one line although coronal and axial slices differ in height.
    Picture frame(panels[i].width, tallest, kPaper);
    blit(frame, panels[i], 0, (tallest - panels[i].height) / 2);
    framed.push_back(
        with_caption(frame, caption_of(slices[i]), {.colour = kText, .background = kPaper}));
  }
  const Picture row = stack_horizontally(framed, {.gap = kRowGap, .background = kPaper});
  std::vector<Picture> parts;
  if (!title.empty()) {
    parts.push_back(
        with_caption(Picture(1, 1, kPaper), title, {.colour = kText, .background = kPaper}));
  }
  parts.push_back(row);
  if (!legend.empty()) parts.push_back(wrap(legend, std::max(row.width, 320)));
  return stack_vertically(parts, {.gap = 6, .margin = kRowGap, .background = kPaper});
}

Picture legend_entry(const LegendClass& row) {
  constexpr int kSwatch = 9;
  Picture entry(kSwatch + 5 + text_width(row.name), kSwatch + 2, kPaper);
  fill_rectangle(entry, 0, 1, kSwatch, kSwatch, row.colour);
  draw_text(entry, kSwatch + 5, 1, row.name, kText);
  return entry;
}

Picture three_planes(const std::function<SliceView(Plane)>& read,
                     const std::vector<LegendClass>& classes,
                     const SliceStyle& style,
                     const std::string& title) {
  const std::array<SliceView, 3> slices = {
      read(Plane::kAxial), read(Plane::kCoronal), read(Plane::kSagittal)};
  return draw_row(slices, classes, style, title);
}

SliceView plane_of(const VolumeSpan& volume, Plane plane, int index) {
  const auto [size_x, size_y, size_z] = volume.size_xyz;
  TRIPTYCH_ASSERT(volume.values.size() == static_cast<std::size_t>(size_x) * size_y * size_z);
  TRIPTYCH_ASSERT(volume.labels.empty() || volume.labels.size() == volume.values.size());
  const int normal = plane == Plane::kAxial ? 2 : plane == Plane::kCoronal ? 1 : 0;
  const int right = plane == Plane::kSagittal ? 1 : 0;
  const int down = plane == Plane::kAxial ? 1 : 2;
  const auto at = [&](int axis) { return static_cast<std::size_t>(axis); };
  TRIPTYCH_ASSERT(index >= 0 && index < volume.size_xyz[at(normal)]);

  SliceView slice;
  slice.name = plane == Plane::kAxial ? "axial" : plane == Plane::kCoronal ? "coronal" : "sagittal";
  slice.axis = "xyz"[normal];
  slice.index = index;
  slice.count = volume.size_xyz[at(normal)];
  slice.spacing = {
      volume.spacing_xyz[at(right)], volume.spacing_xyz[at(down)], volume.spacing_in_mm};
  const int width = volume.size_xyz[at(right)];
  const int height = volume.size_xyz[at(down)];
  const std::array<std::size_t, 3> stride = {1, std::size_t(size_x), std::size_t(size_x) * size_y};
  slice.image = {width, height, {}};
  if (!volume.labels.empty()) slice.labels = {width, height, {}};
  for (int row = 0; row < height; ++row) {
    const int along = plane == Plane::kAxial ? row : height - 1 - row;
    for (int column = 0; column < width; ++column) {
      const std::size_t voxel =
          index * stride[at(normal)] + column * stride[at(right)] + along * stride[at(down)];
      slice.image.values.push_back(volume.values[voxel]);
      if (!volume.labels.empty()) slice.labels.values.push_back(volume.labels[voxel]);
    }
  }
  return slice;
}

}  // namespace triptych
