// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/report/svg.h"

#include <string>
#include <string_view>
#include <vector>

namespace triptych {

struct Tick {
  double value = 0;
  std::string label = {};
};

/// A numeric axis from `lo` to `hi` with ticks at nice numbers.
struct Axis {
  double lo = 0;
  double hi = 1;
  bool log = false;
  std::vector<Tick> ticks = {};

  /// Position along the axis, 0 at lo and 1 at hi.
  double fraction(double value) const;
};

/// Ticks at 1, 2 or 5 times a power of ten. The ends move outwards to the next tick; lo == hi gives
/// room around it.
Axis linear_axis(double lo, double hi, int most_ticks = 6);
/// Ticks at powers of ten, and between them where there are few. Needs 0 < lo <= hi.
Axis log_axis(double lo, double hi, int most_ticks = 6);

/// The rectangle of a chart in which data are drawn.
struct PlotArea {
  double left = 0;
  double top = 0;
  double width = 0;
  double height = 0;
  double bottom() const { return top + height; }
  double right() const { return left + width; }
};

void draw_y_axis(SvgCanvas& canvas, const PlotArea& area, const Axis& axis, std::string_view label);
void draw_x_axis(SvgCanvas& canvas, const PlotArea& area, const Axis& axis, std::string_view label);

/// Names below equal bands; slanted where they would touch.
void draw_category_axis(SvgCanvas& canvas,
                        const PlotArea& area,
                        const std::vector<std::string>& names);
/// Room in pixels that draw_category_axis needs below the plot.
double category_axis_height(double band_width, const std::vector<std::string>& names);

struct LegendEntry {
  std::string name;
  std::string colour;
  std::string dash = {};  ///< as in stroke-dasharray
};
/// Entries in lines no wider than `width`; returns the height used.
double draw_legend(SvgCanvas& canvas,
                   SvgPoint corner,
                   double width,
                   const std::vector<LegendEntry>& entries);

/// The colour of the i-th curve or bar, legible on white and on black.
std::string series_colour(std::size_t index);

/// A number for tooltips: up to five significant digits.
std::string short_number(double value);

}  // namespace triptych
