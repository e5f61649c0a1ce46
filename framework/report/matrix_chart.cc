// SPDX-License-Identifier: Apache-2.0
#include "framework/report/matrix_chart.h"

#include "framework/core/error.h"
#include "framework/report/axis.h"
#include "framework/report/colour.h"

#include <algorithm>
#include <cmath>

namespace triptych {
namespace {

constexpr double kMargin = 16;
constexpr double kCellWidth = 64;
constexpr double kCellHeight = 34;
constexpr double kSmallestLogShare = 1e-4;

double colour_fraction(double share, bool log_colour) {
  if (!log_colour) return share;
  return 1 - std::log10(std::max(share, kSmallestLogShare)) / std::log10(kSmallestLogShare);
}

std::string percent(double share) {
  if (share == 0) return "0";
  const double value = 100 * share;
  if (value < 0.01) return "<0.01";
  return fmt::format("{:.{}f}", value, value < 1 ? 2 : 1);
}

double widest(const std::vector<std::string>& names) {
  double width = 0;
  for (const std::string& name : names) width = std::max(width, estimated_text_width(name));
  return width;
}

void draw_box(SvgCanvas& canvas,
              SvgPoint corner,
              double fraction,
              const std::string& text,
              const std::string& tooltip) {
  const Rgb colour = colour_of(ColourMap::kViridis, fraction);
  canvas.rectangle(
      {corner.x + 1, corner.y + 1}, kCellWidth - 2, kCellHeight - 2, hex(colour), tooltip);
  canvas.text({corner.x + kCellWidth / 2, corner.y + kCellHeight / 2 + 4},
              text,
              Anchor::kMiddle,
              0,
              hex(readable_on(colour)));
}

void draw_value(SvgCanvas& canvas,
                const MatrixChart& chart,
                std::size_t row,
                std::size_t column,
                SvgPoint corner) {
  double largest = 0;
  for (const double value : chart.values) largest = std::max(largest, std::abs(value));
  const double value = chart.values[row * chart.column_names.size() + column];
  if (!std::isfinite(value)) return;
  draw_box(canvas,
           corner,
           largest > 0 ? std::abs(value) / largest : 0.0,
           fmt::format("{:.2f}", value),
           fmt::format("{} {}, {} {}: {:.6g}",
                       chart.row_label,
                       chart.row_names[row],
                       chart.column_label,
                       chart.column_names[column],
                       value));
}

void draw_share(SvgCanvas& canvas,
                const MatrixChart& chart,
                std::size_t row,
                std::size_t column,
                SvgPoint corner) {
  const auto begin =
      chart.values.begin() + static_cast<std::ptrdiff_t>(row * chart.column_names.size());
  double total = 0;
  for (std::size_t c = 0; c < chart.column_names.size(); ++c)
    total += begin[static_cast<std::ptrdiff_t>(c)];
  if (!(total > 0)) return;
  const double count = begin[static_cast<std::ptrdiff_t>(column)];
  const double share = count / total;
  draw_box(canvas,
           corner,
           colour_fraction(share, chart.log_colour),
           percent(share),
           fmt::format("{} {}, {} {}: {:.10g} of {:.10g} ({} %)",
                       chart.row_label,
                       chart.row_names[row],
                       chart.column_label,
                       chart.column_names[column],
                       count,
                       total,
                       percent(share)));
}

}  // namespace

std::string svg_of(const MatrixChart& chart) {
  const auto rows = static_cast<double>(chart.row_names.size());
  const auto columns = static_cast<double>(chart.column_names.size());
  TRIPTYCH_ASSERT(chart.values.size() == chart.row_names.size() * chart.column_names.size());
  TRIPTYCH_ASSERT(!chart.values.empty());
  const double top = kMargin + (chart.title.empty() ? 0 : 20);
  const PlotArea area{
      kMargin + 26 + widest(chart.row_names), top, columns * kCellWidth, rows * kCellHeight};
  const double names_height = category_axis_height(kCellWidth, chart.column_names);
  const std::string note = !chart.shares      ? "colour by size"
                           : chart.log_colour ? "% of the row, colour on a log scale"
                                              : "% of the row";
  const double width = std::max({area.right() + kMargin,
                                 2 * kMargin + estimated_text_width(note),
                                 2 * kMargin + estimated_text_width(chart.title)});

  SvgCanvas canvas(width, area.bottom() + names_height + 44, chart.title);
  if (!chart.title.empty()) canvas.heading({kMargin, kMargin + 6}, chart.title);
  for (std::size_t row = 0; row < chart.row_names.size(); ++row) {
    const double y = area.top + static_cast<double>(row) * kCellHeight;
    canvas.text({area.left - 8, y + kCellHeight / 2 + 4}, chart.row_names[row], Anchor::kEnd);
    for (std::size_t column = 0; column < chart.column_names.size(); ++column) {
      const SvgPoint corner{area.left + static_cast<double>(column) * kCellWidth, y};
      (chart.shares ? draw_share : draw_value)(canvas, chart, row, column, corner);
    }
  }
  draw_category_axis(canvas, area, chart.column_names);
  canvas.text({14, area.top + area.height / 2}, chart.row_label, Anchor::kMiddle, -90);
  canvas.text({area.left + area.width / 2, area.bottom() + names_height + 12},
              chart.column_label,
              Anchor::kMiddle);
  canvas.text({kMargin, area.bottom() + names_height + 34}, note);
  return std::move(canvas).finish();
}

}  // namespace triptych
