// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace triptych {

/// Which point of a curve is marked and labelled.
enum class Best { kNone, kLowest, kHighest };

/// One curve; x and y have the same length, x does not decrease. A y that is not finite interrupts
/// the curve.
struct Series {
  std::string name;
  std::vector<double> x = {};
  std::vector<double> y = {};
  Best best = Best::kNone;
  bool dashed = false;
  std::string colour = {};  ///< "#rrggbb"; empty: the next of the palette
};

struct LineChart {
  std::string title = {};
  std::string x_label = {};
  std::string y_label = {};
  std::vector<Series> series = {};
  bool log_y = false;  ///< values <= 0 then interrupt the curve
  int width = 720;
  int height = 360;
};

/// A static SVG picture with legend and tooltips (<title> elements). A curve with more points than
/// pixels is drawn twice: pale, as the range in every pixel column, so that spikes stay visible,
/// and full, as the mean of columns of five pixels.
std::string svg_of(const LineChart& chart);

}  // namespace triptych
