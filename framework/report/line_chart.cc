// SPDX-License-Identifier: Apache-2.0
#include "framework/report/line_chart.h"

#include "framework/core/error.h"
#include "framework/report/axis.h"

#include <algorithm>
#include <cmath>

namespace triptych {
namespace {

constexpr double kMargin = 16;
constexpr double kBelow = 46;  // tick labels and the name of the axis

/// The points of a curve that can be drawn, in runs without gaps.
using Run = std::vector<SvgPoint>;

bool drawable(double x, double y, bool log_y) {
  return std::isfinite(x) && std::isfinite(y) && (!log_y || y > 0);
}

struct Range {
  double lo = INFINITY;
  double hi = -INFINITY;
  void include(double value) {
    lo = std::min(lo, value);
    hi = std::max(hi, value);
  }
};

/// First, lowest, highest and last point of every pixel column.
Run thinned(const Run& run) {
  Run kept;
  for (std::size_t begin = 0; begin < run.size();) {
    std::size_t end = begin;
    while (end < run.size() && std::floor(run[end].x) == std::floor(run[begin].x)) ++end;
    std::size_t low = begin;
    std::size_t high = begin;
    for (std::size_t i = begin; i < end; ++i) {
      if (run[i].y < run[low].y) low = i;
      if (run[i].y > run[high].y) high = i;
    }
    std::vector<std::size_t> chosen = {begin, low, high, end - 1};
    std::sort(chosen.begin(), chosen.end());
    chosen.erase(std::unique(chosen.begin(), chosen.end()), chosen.end());
    for (const std::size_t i : chosen) kept.push_back(run[i]);
    begin = end;
  }
  return kept;
}

/// The mean of every column of kMeanColumn_px pixels.
Run column_means(const Run& run) {
  constexpr double kMeanColumn_px = 5;
  Run means;
  for (std::size_t begin = 0; begin < run.size();) {
    const double column = std::floor(run[begin].x / kMeanColumn_px);
    SvgPoint sum;
    std::size_t end = begin;
    for (; end < run.size() && std::floor(run[end].x / kMeanColumn_px) == column; ++end) {
      sum.x += run[end].x;
      sum.y += run[end].y;
    }
    const auto count = static_cast<double>(end - begin);
    means.push_back({sum.x / count, sum.y / count});
    begin = end;
  }
  return means;
}

class ChartDrawing {
 public:
  ChartDrawing(const LineChart& chart, SvgCanvas& canvas, PlotArea area, Axis x_axis, Axis y_axis)
      : chart_(chart),
        canvas_(canvas),
        area_(area),
        x_axis_(std::move(x_axis)),
        y_axis_(std::move(y_axis)) {}

  void draw_series(const Series& series, const std::string& colour) {
    Run run;
    for (std::size_t i = 0; i <= series.x.size(); ++i) {
      if (i < series.x.size() && drawable(series.x[i], series.y[i], chart_.log_y)) {
        run.push_back(place(series.x[i], series.y[i]));
        continue;
      }
      if (run.size() == 1) canvas_.disc(run[0], 2.5, colour);
      if (run.size() > 1) draw_run(run, colour, series.dashed ? "5 4" : "");
      run.clear();
    }
    draw_tooltips(series);
    draw_best(series, colour);
  }

 private:
  void draw_run(const Run& run, const std::string& colour, const char* dash) {
    const bool dense = static_cast<double>(run.size()) > 2 * area_.width;
    if (!dense) return canvas_.polyline(run, colour, dash);
    constexpr double kBackgroundOpacity = 0.35;
    canvas_.polyline(thinned(run), colour, "", kBackgroundOpacity);
    canvas_.polyline(column_means(run), colour, dash);
  }

  SvgPoint place(double x, double y) const {
    return {area_.left + area_.width * x_axis_.fraction(x),
            area_.bottom() - area_.height * y_axis_.fraction(y)};
  }

  std::string tooltip(const Series& series, std::size_t i) const {
    return fmt::format("{}: {} at {} {}",
                       series.name,
                       short_number(series.y[i]),
                       chart_.x_label.empty() ? "x" : chart_.x_label,
                       short_number(series.x[i]));
  }

  void draw_tooltips(const Series& series) {
    constexpr std::size_t kMost = 80;  // as many as a mouse can aim at
    const std::size_t stride = std::max<std::size_t>(1, series.x.size() / kMost);
    for (std::size_t i = 0; i < series.x.size(); i += stride) {
      if (!drawable(series.x[i], series.y[i], chart_.log_y)) continue;
      canvas_.hover_area(place(series.x[i], series.y[i]), 5, tooltip(series, i));
    }
  }

  void draw_best(const Series& series, const std::string& colour) {
    if (series.best == Best::kNone) return;
    std::optional<std::size_t> best;
    for (std::size_t i = 0; i < series.x.size(); ++i) {
      if (!drawable(series.x[i], series.y[i], chart_.log_y)) continue;
      const bool better = !best || (series.best == Best::kLowest ? series.y[i] < series.y[*best]
                                                                 : series.y[i] > series.y[*best]);
      if (better) best = i;
    }
    if (!best) return;
    const SvgPoint at = place(series.x[*best], series.y[*best]);
    canvas_.ring(at, 4, colour, "best " + tooltip(series, *best));
    // The label keeps off the curve: below a minimum, above a maximum, unless the edge is near.
    const bool near_top = at.y < area_.top + 20;
    const bool near_bottom = at.y > area_.bottom() - 20;
    const bool below = (series.best == Best::kLowest && !near_bottom) || near_top;
    const Anchor anchor = at.x > area_.right() - 60 ? Anchor::kEnd
                          : at.x < area_.left + 60  ? Anchor::kStart
                                                    : Anchor::kMiddle;
    canvas_.remark({at.x, at.y + (below ? 18 : -9)},
                   fmt::format("best {:.4g}", series.y[*best]),
                   anchor,
                   colour);
  }

  const LineChart& chart_;
  SvgCanvas& canvas_;
  PlotArea area_;
  Axis x_axis_;
  Axis y_axis_;
};

double widest_label(const Axis& axis) {
  double widest = 0;
  for (const Tick& tick : axis.ticks) widest = std::max(widest, estimated_text_width(tick.label));
  return widest;
}

// The x axis ends where the data end, whatever the last tick.
Axis tight(Axis axis, const Range& range) {
  if (range.hi > range.lo) {
    axis.lo = range.lo;
    axis.hi = range.hi;
  }
  std::erase_if(axis.ticks,
                [&](const Tick& tick) { return tick.value < axis.lo || tick.value > axis.hi; });
  return axis;
}

}  // namespace

std::string svg_of(const LineChart& chart) {
  Range x;
  Range y;
  for (const Series& series : chart.series) {
    TRIPTYCH_ASSERT(series.x.size() == series.y.size());
    for (std::size_t i = 0; i < series.x.size(); ++i) {
      if (!drawable(series.x[i], series.y[i], chart.log_y)) continue;
      x.include(series.x[i]);
      y.include(series.y[i]);
    }
  }
  SvgCanvas canvas(chart.width, chart.height, chart.title);
  double top = kMargin;
  if (!chart.title.empty()) {
    canvas.heading({kMargin, top + 6}, chart.title);
    top += 18;
  }
  std::vector<LegendEntry> legend;
  for (std::size_t i = 0; i < chart.series.size(); ++i) {
    const Series& series = chart.series[i];
    legend.push_back({series.name,
                      series.colour.empty() ? series_colour(i) : series.colour,
                      series.dashed ? "5 4" : ""});
  }
  top += draw_legend(canvas, {kMargin, top - 4}, chart.width - 2 * kMargin, legend) + 6;
  if (y.hi < y.lo) {
    canvas.text({chart.width / 2.0, chart.height / 2.0}, "no data", Anchor::kMiddle);
    return std::move(canvas).finish();
  }
  const Axis y_axis = chart.log_y ? log_axis(y.lo, y.hi) : linear_axis(y.lo, y.hi);
  const double left = widest_label(y_axis) + 12 + (chart.y_label.empty() ? 6 : 24);
  const PlotArea area{left, top, chart.width - left - kMargin - 10, chart.height - top - kBelow};
  draw_y_axis(canvas, area, y_axis, chart.y_label);
  const Axis x_axis = tight(linear_axis(x.lo, x.hi, 9), x);
  draw_x_axis(canvas, area, x_axis, chart.x_label);
  ChartDrawing drawing(chart, canvas, area, x_axis, y_axis);
  for (std::size_t i = 0; i < chart.series.size(); ++i)
    drawing.draw_series(chart.series[i], legend[i].colour);
  return std::move(canvas).finish();
}

}  // namespace triptych
