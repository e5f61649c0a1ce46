// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/report/colour.h"
#include "framework/report/picture.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace triptych {

/// Values of a slice, rows from the top.
struct FloatImage {
  int width = 0;
  int height = 0;
  std::vector<float> values = {};
};

/// Class values of a slice, rows from the top; empty where there are none.
struct LabelImage {
  int width = 0;
  int height = 0;
  std::vector<std::int32_t> values = {};
};

/// One row of the class table of a recipe.
struct LegendClass {
  std::int32_t value = 0;
  std::string name = {};
  Rgb colour = {};
};

/// Distance of pixel centres along x and y: mm, or in units of a pixel where the file states no
/// spacing.
struct PixelSpacing {
  double x = 1;
  double y = 1;
  bool in_mm = false;
};

/// Values at `lo` and below get the first colour of the map, at `hi` and above the last.
struct Window {
  double lo = 0;
  double hi = 1;
};

/// A slice with what its caption says.
struct SliceView {
  std::string name = {};  ///< "axial", or the name of a panel such as "prediction"
  char axis = 'z';        ///< the axis the slice is perpendicular to
  int index = 0;          ///< voxel index along that axis, from 0
  int count = 1;          ///< slices along that axis; with 1 the caption names no place
  PixelSpacing spacing = {};
  FloatImage image = {};
  LabelImage labels = {};  ///< empty, or of the size of image
};

struct SliceStyle {
  std::optional<Window> window = {};  ///< without: percentiles 0.5 and 99.5 of all values shown
  ColourMap colour_map = ColourMap::kGray;
  double contour_px = 2;  ///< thickness of the outline of classes, inside their border; 0 = none
  double fill_alpha = 0;  ///< opacity of the interior of classes, in [0, 1]
  bool scale_bar = true;
  int min_side_px = 256;  ///< smaller slices are enlarged by a whole factor
  int max_side_px = 640;  ///< larger slices are averaged down
};

/// Percentiles (in [0, 100]) of the finite values, never of zero width.
Window percentile_window(std::span<const float> values, double lower = 0.5, double upper = 99.5);

/// The largest 1, 2 or 5 times a power of ten that is not above `limit` > 0.
double nice_length(double limit);

/// The slice alone, with labels and scale bar, `px_per_unit` square pixels per mm (or per pixel of
/// unknown spacing).
///
/// Values are interpolated linearly, or averaged when shrunk. Class 0 is background and stays
/// clear. With an empty class table every other value is drawn in a colour of its own, else only
/// the values of the table.
Picture draw_slice(const SliceView& slice,
                   const Window& window,
                   const std::vector<LegendClass>& classes,
                   const SliceStyle& style,
                   double px_per_unit);

/// Pixels per mm (or per pixel of unknown spacing) at which all slices respect the side limits of
/// the style.
double common_scale(std::span<const SliceView> slices, const SliceStyle& style);

}  // namespace triptych
