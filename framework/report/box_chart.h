// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace triptych {

/// One box: values of one class or method over many cases; values that are not finite are left out
/// and counted.
struct BoxGroup {
  std::string name;
  std::vector<double> values = {};
};

struct BoxChart {
  std::string title = {};
  std::string y_label = {};
  std::vector<BoxGroup> groups = {};
  int width = 720;
  int height = 340;
};

/// Box = quartiles (linear interpolation between order statistics), line = median, cross-bar ends =
/// the outermost values within 1.5 interquartile ranges of the box, discs = values beyond, ring =
/// mean.
std::string svg_of(const BoxChart& chart);

/// Grouped bars: one group a category, one bar a series; a value that is not finite gives no bar.
struct BarSeries {
  std::string name;
  std::vector<double> values = {};  ///< as many as categories
};

struct BarChart {
  std::string title = {};
  std::string y_label = {};
  std::vector<std::string> categories = {};
  std::vector<BarSeries> series = {};
  int width = 720;
  int height = 340;
};

/// Bars begin at zero, which is always part of the axis.
std::string svg_of(const BarChart& chart);

/// What a box shows; values must be finite and not empty.
struct BoxStatistics {
  double lower_whisker = 0;
  double lower_quartile = 0;
  double median = 0;
  double upper_quartile = 0;
  double upper_whisker = 0;
  double mean = 0;
  std::vector<double> outliers = {};
};
BoxStatistics box_statistics(std::vector<double> values);

}  // namespace triptych
