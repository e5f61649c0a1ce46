// SPDX-License-Identifier: Apache-2.0
#include "framework/report/box_chart.h"

#include "framework/core/error.h"
#include "framework/report/axis.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace triptych {
namespace {

constexpr double kMargin = 16;

/// Order statistic at `fraction` of the way, linear between neighbours.
double quantile(const std::vector<double>& sorted, double fraction) {
  const double position = fraction * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(position);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return std::lerp(sorted[below], sorted[above], position - static_cast<double>(below));
}

std::vector<double> finite_values(const std::vector<double>& values) {
  std::vector<double> finite;
  std::copy_if(values.begin(), values.end(), std::back_inserter(finite), [](double v) {
    return std::isfinite(v);
  });
  return finite;
}

double draw_title(SvgCanvas& canvas, const std::string& title) {
  if (title.empty()) return kMargin;
  canvas.heading({kMargin, kMargin + 6}, title);
  return kMargin + 18;
}

std::string no_data(SvgCanvas canvas, int width, int height) {
  canvas.text({width / 2.0, height / 2.0}, "no data", Anchor::kMiddle);
  return std::move(canvas).finish();
}

/// Draws both axes and returns where the data go.
PlotArea draw_axes(SvgCanvas& canvas,
                   double top,
                   double width,
                   double height,
                   const Axis& axis,
                   const std::string& y_label,
                   const std::vector<std::string>& names) {
  double left = 18 + (y_label.empty() ? 0 : 18);
  double widest = 0;
  for (const Tick& tick : axis.ticks) widest = std::max(widest, estimated_text_width(tick.label));
  left += widest;
  PlotArea area{left, top, width - left - kMargin, 0};
  area.height = height - top -
                category_axis_height(area.width / static_cast<double>(names.size()), names) - 4;
  draw_y_axis(canvas, area, axis, y_label);
  draw_category_axis(canvas, area, names);
  return area;
}

std::string describe(const BoxGroup& group, const BoxStatistics& box, std::size_t count) {
  std::string text = fmt::format("{}: median {}, quartiles {} to {}, mean {}, {} values",
                                 group.name,
                                 short_number(box.median),
                                 short_number(box.lower_quartile),
                                 short_number(box.upper_quartile),
                                 short_number(box.mean),
                                 count);
  if (count < group.values.size())
    text += fmt::format(", {} not finite", group.values.size() - count);
  return text;
}

void draw_box(SvgCanvas& canvas,
              const PlotArea& area,
              const Axis& axis,
              double centre,
              double box_width,
              const BoxGroup& group,
              const std::string& colour) {
  const std::vector<double> values = finite_values(group.values);
  if (values.empty()) return;
  const BoxStatistics box = box_statistics(values);
  const auto y = [&](double value) { return area.bottom() - area.height * axis.fraction(value); };
  const double left = centre - box_width / 2;
  const double right = centre + box_width / 2;
  canvas.line({centre, y(box.lower_whisker)}, {centre, y(box.lower_quartile)}, "ink");
  canvas.line({centre, y(box.upper_quartile)}, {centre, y(box.upper_whisker)}, "ink");
  for (const double end : {box.lower_whisker, box.upper_whisker}) {
    canvas.line({centre - box_width / 4, y(end)}, {centre + box_width / 4, y(end)}, "ink");
  }
  const double top = y(box.upper_quartile);
  canvas.rectangle({left, top},
                   box_width,
                   std::max(1.0, y(box.lower_quartile) - top),
                   colour,
                   describe(group, box, values.size()),
                   0.45);
  canvas.polyline({{left, y(box.median)}, {right, y(box.median)}}, colour);
  canvas.ring({centre, y(box.mean)}, 3, colour, "mean " + short_number(box.mean));
  for (const double value : box.outliers) {
    canvas.disc(
        {centre, y(value)}, 2.5, colour, fmt::format("{}: {}", group.name, short_number(value)));
  }
}

}  // namespace

BoxStatistics box_statistics(std::vector<double> values) {
  TRIPTYCH_ASSERT(!values.empty());
  std::sort(values.begin(), values.end());
  BoxStatistics box;
  box.lower_quartile = quantile(values, 0.25);
  box.median = quantile(values, 0.5);
  box.upper_quartile = quantile(values, 0.75);
  box.mean =
      std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
  const double reach = 1.5 * (box.upper_quartile - box.lower_quartile);
  // With few values the outermost one within reach may lie inside the box; a whisker never points
  // inwards.
  box.lower_whisker = box.lower_quartile;
  box.upper_whisker = box.upper_quartile;
  for (const double value : values) {
    if (value < box.lower_quartile - reach || value > box.upper_quartile + reach) {
      box.outliers.push_back(value);
    } else {
      box.lower_whisker = std::min(box.lower_whisker, value);
      box.upper_whisker = std::max(box.upper_whisker, value);
    }
  }
  return box;
}

std::string svg_of(const BoxChart& chart) {
  SvgCanvas canvas(chart.width, chart.height, chart.title);
  const double top = draw_title(canvas, chart.title);
  std::vector<double> all;
  std::vector<std::string> names;
  for (const BoxGroup& group : chart.groups) {
    const std::vector<double> values = finite_values(group.values);
    all.insert(all.end(), values.begin(), values.end());
    names.push_back(group.name);
  }
  if (all.empty()) return no_data(std::move(canvas), chart.width, chart.height);
  const auto [lo, hi] = std::minmax_element(all.begin(), all.end());
  const Axis axis = linear_axis(*lo, *hi);
  const PlotArea area =
      draw_axes(canvas, top, chart.width, chart.height, axis, chart.y_label, names);
  const double band = area.width / static_cast<double>(names.size());
  for (std::size_t i = 0; i < chart.groups.size(); ++i) {
    const double centre = area.left + band * (static_cast<double>(i) + 0.5);
    draw_box(
        canvas, area, axis, centre, std::min(0.5 * band, 60.0), chart.groups[i], series_colour(i));
  }
  return std::move(canvas).finish();
}

std::string svg_of(const BarChart& chart) {
  SvgCanvas canvas(chart.width, chart.height, chart.title);
  double top = draw_title(canvas, chart.title);
  double lo = 0;
  double hi = 0;
  std::vector<LegendEntry> legend;
  for (std::size_t s = 0; s < chart.series.size(); ++s) {
    TRIPTYCH_ASSERT(chart.series[s].values.size() == chart.categories.size());
    legend.push_back({chart.series[s].name, series_colour(s)});
    for (const double value : finite_values(chart.series[s].values)) {
      lo = std::min(lo, value);
      hi = std::max(hi, value);
    }
  }
  if (lo == hi || chart.categories.empty())
    return no_data(std::move(canvas), chart.width, chart.height);
  if (legend.size() > 1)
    top += draw_legend(canvas, {kMargin, top - 4}, chart.width - 2 * kMargin, legend) + 6;
  const Axis axis = linear_axis(lo, hi);
  const PlotArea area =
      draw_axes(canvas, top, chart.width, chart.height, axis, chart.y_label, chart.categories);
  const double band = area.width / static_cast<double>(chart.categories.size());
  const double bar = std::min(0.8 * band / static_cast<double>(chart.series.size()), 48.0);
  const auto y = [&](double value) { return area.bottom() - area.height * axis.fraction(value); };
  for (std::size_t c = 0; c < chart.categories.size(); ++c) {
    const double centre = area.left + band * (static_cast<double>(c) + 0.5);
    for (std::size_t s = 0; s < chart.series.size(); ++s) {
      const double value = chart.series[s].values[c];
      if (!std::isfinite(value)) continue;
      const double left =
          centre + bar * (static_cast<double>(s) - static_cast<double>(chart.series.size()) / 2);
      canvas.rectangle(
          {left + 1, std::min(y(value), y(0))},
          bar - 2,
          std::abs(y(0) - y(value)),
          series_colour(s),
          fmt::format(
              "{}, {}: {}", chart.categories[c], chart.series[s].name, short_number(value)));
    }
  }
  if (lo < 0) canvas.line({area.left, y(0)}, {area.right(), y(0)}, "ink");
  return std::move(canvas).finish();
}

}  // namespace triptych
