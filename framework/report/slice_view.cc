// SPDX-License-Identifier: Apache-2.0
#include "framework/report/slice_view.h"

#include "framework/core/error.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace triptych {
namespace {

/// Where a sample falls between pixel centres: indices of the neighbours and the weight of the
/// upper one.
struct Neighbours {
  int below = 0;
  int above = 0;
  double weight = 0;
};

Neighbours neighbours(double position, int size) {
  position = std::clamp(position, 0.0, static_cast<double>(size - 1));
  const int below = static_cast<int>(position);
  return {below, std::min(below + 1, size - 1), position - below};
}

/// Centres of `count` equal samples across `size` pixels, in pixel coordinates.
std::vector<Neighbours> sample_axis(int count, int size) {
  std::vector<Neighbours> samples;
  samples.reserve(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i)
    samples.push_back(neighbours((i + 0.5) * size / count - 0.5, size));
  return samples;
}

double linear(const FloatImage& image, const Neighbours& x, const Neighbours& y) {
  const auto row = [&](int index) {
    const float* values = &image.values[static_cast<std::size_t>(index) * image.width];
    // A weight of zero must not let a neighbouring NaN in.
    return x.weight == 0 ? values[x.below]
                         : (1 - x.weight) * values[x.below] + x.weight * values[x.above];
  };
  return y.weight == 0 ? row(y.below) : (1 - y.weight) * row(y.below) + y.weight * row(y.above);
}

/// The label with the largest bilinear weight: borders of enlarged slices run straight instead of
/// in steps.
std::int32_t heaviest_label(const LabelImage& labels, const Neighbours& x, const Neighbours& y) {
  const auto at = [&](int column, int row) {
    return labels.values[static_cast<std::size_t>(row) * labels.width + column];
  };
  const std::int32_t corner[4] = {
      at(x.below, y.below), at(x.above, y.below), at(x.below, y.above), at(x.above, y.above)};
  const double weight[4] = {(1 - x.weight) * (1 - y.weight),
                            x.weight * (1 - y.weight),
                            (1 - x.weight) * y.weight,
                            x.weight * y.weight};
  int best = 0;
  double best_sum = -1;
  for (int i = 0; i < 4; ++i) {
    double sum = 0;
    for (int k = 0; k < 4; ++k) sum += corner[k] == corner[i] ? weight[k] : 0;
    if (sum > best_sum + 1e-9) {
      best = i;
      best_sum = sum;
    }
  }
  return corner[best];
}

/// Labels on a grid finer than the picture, and which of its points lie on an outline.
struct LabelGrid {
  int factor = 1;  ///< points per pixel and axis
  int width = 0;
  int height = 0;
  std::vector<std::int32_t> labels;
  std::vector<std::uint8_t> outlined;

  std::size_t index(int x, int y) const { return static_cast<std::size_t>(y) * width + x; }
};

// Marks the points of the same label within `radius` of (x, y), a point at the border of its label.
void mark_disc(LabelGrid& grid, int x, int y, double radius) {
  const int reach = static_cast<int>(radius);
  const std::int32_t label = grid.labels[grid.index(x, y)];
  for (int v = std::max(0, y - reach); v <= std::min(grid.height - 1, y + reach); ++v) {
    for (int u = std::max(0, x - reach); u <= std::min(grid.width - 1, x + reach); ++u) {
      const double squared = (u - x) * (u - x) + (v - y) * (v - y);
      if (squared <= radius * radius && grid.labels[grid.index(u, v)] == label) {
        grid.outlined[grid.index(u, v)] = 1;
      }
    }
  }
}

LabelGrid label_grid(const LabelImage& labels, const Picture& picture, double contour_px) {
  LabelGrid grid;
  const int shrink =
      std::max((labels.width - 1) / picture.width, (labels.height - 1) / picture.height) + 1;
  grid.factor = std::max(3, shrink);
  grid.width = picture.width * grid.factor;
  grid.height = picture.height * grid.factor;
  const auto columns = sample_axis(grid.width, labels.width);
  const auto rows = sample_axis(grid.height, labels.height);
  for (const Neighbours& row : rows) {
    for (const Neighbours& column : columns)
      grid.labels.push_back(heaviest_label(labels, column, row));
  }
  grid.outlined.assign(grid.labels.size(), 0);
  if (contour_px <= 0) return grid;
  const double radius = std::max(0.0, contour_px * grid.factor - 1);
  for (int y = 0; y < grid.height; ++y) {
    for (int x = 0; x < grid.width; ++x) {
      const std::int32_t label = grid.labels[grid.index(x, y)];
      const bool border = (x > 0 && grid.labels[grid.index(x - 1, y)] != label) ||
                          (x + 1 < grid.width && grid.labels[grid.index(x + 1, y)] != label) ||
                          (y > 0 && grid.labels[grid.index(x, y - 1)] != label) ||
                          (y + 1 < grid.height && grid.labels[grid.index(x, y + 1)] != label);
      if (border && label != 0) mark_disc(grid, x, y, radius);
    }
  }
  return grid;
}

std::map<std::int32_t, Rgb> drawn_colours(const LabelImage& labels,
                                          const std::vector<LegendClass>& classes) {
  std::map<std::int32_t, Rgb> colours;
  for (const LegendClass& row : classes) colours[row.value] = row.colour;
  if (classes.empty()) {
    for (const std::int32_t label : labels.values) {
      if (!colours.contains(label)) colours[label] = class_colour(label > 0 ? label - 1 : -label);
    }
  }
  colours.erase(0);
  return colours;
}

void draw_labels(Picture& picture,
                 const LabelImage& labels,
                 const std::vector<LegendClass>& classes,
                 const SliceStyle& style) {
  const std::map<std::int32_t, Rgb> colours = drawn_colours(labels, classes);
  const LabelGrid grid = label_grid(labels, picture, style.contour_px);
  const double share = 1.0 / (grid.factor * grid.factor);
  for (int y = 0; y < picture.height; ++y) {
    for (int x = 0; x < picture.width; ++x) {
      double sum[3] = {0, 0, 0};
      const Rgb below = picture.at(x, y);
      for (int k = 0; k < grid.factor * grid.factor; ++k) {
        const auto point =
            grid.index(x * grid.factor + k % grid.factor, y * grid.factor + k / grid.factor);
        const auto found = colours.find(grid.labels[point]);
        const double alpha = grid.outlined[point] != 0 ? 1 : style.fill_alpha;
        const Rgb colour = found == colours.end() ? below : mix(below, found->second, alpha);
        sum[0] += share * colour.r;
        sum[1] += share * colour.g;
        sum[2] += share * colour.b;
      }
      picture.set(x,
                  y,
                  {static_cast<std::uint8_t>(std::lround(sum[0])),
                   static_cast<std::uint8_t>(std::lround(sum[1])),
                   static_cast<std::uint8_t>(std::lround(sum[2]))});
    }
  }
}

Picture draw_values(
    const FloatImage& image, int width, int height, const Window& window, ColourMap map) {
  Picture picture(width, height);
  const int fine_x =
      (image.width - 1) / width + 1;  // samples averaged in one pixel of a shrunk slice
  const int fine_y = (image.height - 1) / height + 1;
  const auto columns = sample_axis(width * fine_x, image.width);
  const auto rows = sample_axis(height * fine_y, image.height);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      double sum = 0;
      for (int v = 0; v < fine_y; ++v) {
        for (int u = 0; u < fine_x; ++u) {
          sum += linear(image,
                        columns[static_cast<std::size_t>(x * fine_x + u)],
                        rows[static_cast<std::size_t>(y * fine_y + v)]);
        }
      }
      const double fraction = (sum / (fine_x * fine_y) - window.lo) / (window.hi - window.lo);
      picture.set(x, y, colour_of(map, fraction));
    }
  }
  return picture;
}

void draw_scale_bar(Picture& picture, double px_per_unit, bool in_mm) {
  constexpr int kMargin = 8;
  constexpr int kThickness = 3;
  const double length = nice_length(0.33 * picture.width / px_per_unit);
  const int width = static_cast<int>(std::lround(length * px_per_unit));
  const std::string label = fmt::format("{:g} {}", length, in_mm ? "mm" : "px");
  if (width + 2 * kMargin > picture.width || text_width(label) + 2 * kMargin > picture.width)
    return;
  const int top = picture.height - kMargin - kThickness;
  fill_rectangle(picture, kMargin - 1, top - 1, width + 2, kThickness + 2, kBlack);
  fill_rectangle(picture, kMargin, top, width, kThickness, kWhite);
  draw_outlined_text(picture, kMargin, top - text_height() - 3, label, kWhite, kBlack);
}

void check_slice(const SliceView& slice) {
  const auto size = [](int width, int height) {
    return static_cast<std::size_t>(width) * static_cast<std::size_t>(height);
  };
  const FloatImage& image = slice.image;
  TRIPTYCH_ASSERT(image.width > 0 && image.height > 0);
  TRIPTYCH_ASSERT(image.values.size() == size(image.width, image.height));
  TRIPTYCH_ASSERT(slice.labels.values.size() == size(slice.labels.width, slice.labels.height));
  TRIPTYCH_ASSERT(slice.spacing.x > 0 && slice.spacing.y > 0);
  if (!slice.labels.values.empty() &&
      (slice.labels.width != image.width || slice.labels.height != image.height)) {
    throw geometry_error(
        fmt::format("labels of slice '{}': expected {} x {} pixels as the image, got {} x {}",
                    slice.name,
                    image.width,
                    image.height,
                    slice.labels.width,
                    slice.labels.height));
  }
}

}  // namespace

Window percentile_window(std::span<const float> values, double lower, double upper) {
  std::vector<float> finite;
  finite.reserve(values.size());
  std::copy_if(values.begin(), values.end(), std::back_inserter(finite), [](float v) {
    return std::isfinite(v);
  });
  if (finite.empty()) return {0, 1};
  const auto value_at = [&finite](double percent) {
    const auto rank = std::lround(percent / 100 * static_cast<double>(finite.size() - 1));
    std::nth_element(finite.begin(), finite.begin() + rank, finite.end());
    return static_cast<double>(finite[static_cast<std::size_t>(rank)]);
  };
  Window window{value_at(lower), value_at(upper)};
  if (window.hi <= window.lo) {  // a few bright voxels in a constant slice: show the whole range
    window = {value_at(0), value_at(100)};
  }
  if (window.hi <= window.lo) window.hi = window.lo + std::max(1.0, std::abs(window.lo));
  return window;
}

double nice_length(double limit) {
  TRIPTYCH_ASSERT(limit > 0 && std::isfinite(limit));
  const double power = std::pow(10.0, std::floor(std::log10(limit)));
  for (const double digit : {10.0, 5.0, 2.0}) {
    if (digit * power <= limit * (1 + 1e-9)) return digit * power;
  }
  return power;
}

Picture draw_slice(const SliceView& slice,
                   const Window& window,
                   const std::vector<LegendClass>& classes,
                   const SliceStyle& style,
                   double px_per_unit) {
  check_slice(slice);
  const auto pixels = [px_per_unit](int count, double spacing) {
    return std::max(1, static_cast<int>(std::lround(count * spacing * px_per_unit)));
  };
  Picture picture = draw_values(slice.image,
                                pixels(slice.image.width, slice.spacing.x),
                                pixels(slice.image.height, slice.spacing.y),
                                window,
                                style.colour_map);
  if (!slice.labels.values.empty()) draw_labels(picture, slice.labels, classes, style);
  if (style.scale_bar) draw_scale_bar(picture, px_per_unit, slice.spacing.in_mm);
  return picture;
}

double common_scale(std::span<const SliceView> slices, const SliceStyle& style) {
  double finest = INFINITY;
  double longest = 0;
  for (const SliceView& slice : slices) {
    finest = std::min({finest, slice.spacing.x, slice.spacing.y});
    longest = std::max(
        {longest, slice.image.width * slice.spacing.x, slice.image.height * slice.spacing.y});
  }
  TRIPTYCH_ASSERT(longest > 0);
  const double native_px = longest / finest;
  if (native_px > style.max_side_px) return style.max_side_px / longest;
  const double enlarge =
      std::min(std::ceil(style.min_side_px / native_px), std::floor(style.max_side_px / native_px));
  return std::max(1.0, enlarge) / finest;
}

}  // namespace triptych
