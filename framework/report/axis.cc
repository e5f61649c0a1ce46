// SPDX-License-Identifier: Apache-2.0
#include "framework/report/axis.h"

#include "framework/core/error.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace triptych {
namespace {

constexpr double kTickLength = 4;
constexpr double kSlant_deg = -35;

// The smallest 1, 2 or 5 times a power of ten that is not below `step`.
double nice_step(double step) {
  const double power = std::pow(10.0, std::floor(std::log10(step)));
  for (const double digit : {1.0, 2.0, 5.0}) {
    if (digit * power >= step * (1 - 1e-9)) return digit * power;
  }
  return 10 * power;
}

std::string tick_label(double value, double step) {
  const double magnitude = std::max(std::abs(value), step);
  if (value != 0 && (magnitude >= 1e6 || step < 1e-4)) return fmt::format("{:.6g}", value);
  const int decimals = std::max(0, static_cast<int>(-std::floor(std::log10(step) + 1e-9)));
  return fmt::format("{:.{}f}", value == 0 ? 0.0 : value, decimals);
}

bool slanted(double band_width, const std::vector<std::string>& names) {
  return std::any_of(names.begin(), names.end(), [&](const std::string& name) {
    return estimated_text_width(name) > band_width - 4;
  });
}

}  // namespace

double Axis::fraction(double value) const {
  if (log) return std::log(value / lo) / std::log(hi / lo);
  return (value - lo) / (hi - lo);
}

Axis linear_axis(double lo, double hi, int most_ticks) {
  TRIPTYCH_ASSERT(std::isfinite(lo) && std::isfinite(hi) && lo <= hi && most_ticks >= 2);
  if (hi - lo <= 1e-12 * std::max(std::abs(lo), std::abs(hi)) || hi == lo) {
    const double room = lo == 0 ? 1 : std::abs(lo) / 2;
    lo -= room;
    hi += room;
  }
  const double step = nice_step((hi - lo) / (most_ticks - 1));
  Axis axis;
  const double first = std::floor(lo / step + 1e-9);
  const double last = std::ceil(hi / step - 1e-9);
  axis.lo = first * step;
  axis.hi = last * step;
  for (double k = first; k <= last + 0.5; ++k)
    axis.ticks.push_back({k * step, tick_label(k * step, step)});
  return axis;
}

Axis log_axis(double lo, double hi, int most_ticks) {
  TRIPTYCH_ASSERT(lo > 0 && std::isfinite(hi) && lo <= hi);
  Axis axis;
  axis.log = true;
  const double decades = std::log10(hi / lo);
  const std::vector<double> digits = decades < 1   ? std::vector<double>{1, 2, 3, 5}
                                     : decades < 3 ? std::vector<double>{1, 3}
                                                   : std::vector<double>{1};
  // The ends move outwards to the next number of the grid.
  const double below = std::pow(10.0, std::floor(std::log10(lo) + 1e-9));
  const double above = std::pow(10.0, std::floor(std::log10(hi) + 1e-9));
  axis.lo = below;
  axis.hi = 10 * above;
  for (const double digit : digits) {
    if (digit * below <= lo * (1 + 1e-9)) axis.lo = digit * below;
  }
  for (auto digit = digits.rbegin(); digit != digits.rend(); ++digit) {
    if (*digit * above >= hi * (1 - 1e-9)) axis.hi = *digit * above;
  }
  if (axis.hi <= axis.lo) axis.hi = 10 * axis.lo;
  const int skip = std::max(1, static_cast<int>(std::ceil(decades / most_ticks)));
  int exponent = static_cast<int>(std::lround(std::log10(below)));
  for (; std::pow(10.0, exponent) <= axis.hi * (1 + 1e-9); exponent += skip) {
    for (const double digit : digits) {
      const double value = digit * std::pow(10.0, exponent);
      if (value < axis.lo * (1 - 1e-9) || value > axis.hi * (1 + 1e-9)) continue;
      axis.ticks.push_back({value, fmt::format("{:.4g}", value)});
    }
  }
  return axis;
}

void draw_y_axis(SvgCanvas& canvas,
                 const PlotArea& area,
                 const Axis& axis,
                 std::string_view label) {
  for (const Tick& tick : axis.ticks) {
    const double y = area.bottom() - area.height * axis.fraction(tick.value);
    canvas.line({area.left, y}, {area.right(), y}, "grid");
    canvas.text({area.left - 7, y + 4}, tick.label, Anchor::kEnd);
  }
  canvas.line({area.left, area.top}, {area.left, area.bottom()}, "ink");
  if (!label.empty()) canvas.text({14, area.top + area.height / 2}, label, Anchor::kMiddle, -90);
}

void draw_x_axis(SvgCanvas& canvas,
                 const PlotArea& area,
                 const Axis& axis,
                 std::string_view label) {
  for (const Tick& tick : axis.ticks) {
    const double x = area.left + area.width * axis.fraction(tick.value);
    if (x > area.right() + 0.5) continue;
    canvas.line({x, area.bottom()}, {x, area.bottom() + kTickLength}, "ink");
    canvas.text({x, area.bottom() + 17}, tick.label, Anchor::kMiddle);
  }
  canvas.line({area.left, area.bottom()}, {area.right(), area.bottom()}, "ink");
  if (!label.empty())
    canvas.text({area.left + area.width / 2, area.bottom() + 36}, label, Anchor::kMiddle);
}

void draw_category_axis(SvgCanvas& canvas,
                        const PlotArea& area,
                        const std::vector<std::string>& names) {
  const double band = area.width / static_cast<double>(names.size());
  const bool slant = slanted(band, names);
  for (std::size_t i = 0; i < names.size(); ++i) {
    const double x = area.left + band * (static_cast<double>(i) + 0.5);
    if (slant) {
      canvas.text({x + 4, area.bottom() + 14}, names[i], Anchor::kEnd, kSlant_deg);
    } else {
      canvas.text({x, area.bottom() + 17}, names[i], Anchor::kMiddle);
    }
  }
  canvas.line({area.left, area.bottom()}, {area.right(), area.bottom()}, "ink");
}

double category_axis_height(double band_width, const std::vector<std::string>& names) {
  if (!slanted(band_width, names)) return 26;
  double longest = 0;
  for (const std::string& name : names) longest = std::max(longest, estimated_text_width(name));
  constexpr double kSineOfSlant = 0.574;
  return 22 + kSineOfSlant * longest;
}

double draw_legend(SvgCanvas& canvas,
                   SvgPoint corner,
                   double width,
                   const std::vector<LegendEntry>& entries) {
  constexpr double kLineHeight = 18;
  constexpr double kSample = 20;
  double x = corner.x;
  double y = corner.y;
  for (const LegendEntry& entry : entries) {
    const double needed = kSample + 6 + estimated_text_width(entry.name) + 14;
    if (x > corner.x && x + needed > corner.x + width) {
      x = corner.x;
      y += kLineHeight;
    }
    canvas.polyline({{x, y + 8}, {x + kSample, y + 8}}, entry.colour, entry.dash);
    canvas.text({x + kSample + 6, y + 12}, entry.name);
    x += needed;
  }
  return entries.empty() ? 0 : y - corner.y + kLineHeight;
}

std::string series_colour(std::size_t index) {
  static constexpr std::array<const char*, 10> kColours = {"#2f81d6",
                                                           "#e0732a",
                                                           "#22a079",
                                                           "#c565a5",
                                                           "#b8901a",
                                                           "#7d6fd8",
                                                           "#d1495b",
                                                           "#3fa9c4",
                                                           "#7f8c3a",
                                                           "#8b8f98"};
  return kColours[index % kColours.size()];
}

std::string short_number(double value) { return fmt::format("{:.5g}", value); }

}  // namespace triptych
