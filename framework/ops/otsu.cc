// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/otsu.h"

#include "framework/core/error.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/core.h>

namespace triptych {

std::vector<std::size_t> otsu_cuts(std::span<const double> histogram, int classes) {
  const std::size_t bins = histogram.size();
  const auto occupied =
      std::count_if(histogram.begin(), histogram.end(), [](double n) { return n > 0.0; });
  if (classes < 2 || classes > occupied) {
    throw data_error(
        fmt::format("Otsu thresholds: expected 2 to {} classes (grey values that occur), got {}",
                    occupied,
                    classes));
  }
  std::vector<double> weight(bins + 1, 0.0);
  std::vector<double> moment(bins + 1, 0.0);
  for (std::size_t i = 0; i < bins; ++i) {
    weight[i + 1] = weight[i] + histogram[i];
    moment[i + 1] = moment[i] + histogram[i] * static_cast<double>(i);
  }
  // The variance between classes is the sum of moment^2 / weight over the classes, less a constant.
  constexpr double kImpossible = -std::numeric_limits<double>::infinity();
  const auto gain = [&](std::size_t begin, std::size_t end) {
    const double w = weight[end] - weight[begin];
    const double m = moment[end] - moment[begin];
    return w > 0.0 ? m * m / w : kImpossible;
  };
  // best[k][end]: largest sum of k + 1 classes over the bins [0, end); from[k][end]: where the last
  // of them begins.
  const auto count = static_cast<std::size_t>(classes);
  std::vector<std::vector<double>> best(count, std::vector<double>(bins + 1, kImpossible));
  std::vector<std::vector<std::size_t>> from(count, std::vector<std::size_t>(bins + 1, 0));
  for (std::size_t end = 1; end <= bins; ++end) best[0][end] = gain(0, end);
  for (std::size_t k = 1; k < count; ++k) {
    for (std::size_t end = k + 1; end <= bins; ++end) {
      for (std::size_t begin = k; begin < end; ++begin) {
        const double value = best[k - 1][begin] + gain(begin, end);
        if (value > best[k][end]) {
          best[k][end] = value;
          from[k][end] = begin;
        }
      }
    }
  }
  std::vector<std::size_t> cuts(count - 1);
  std::size_t end = bins;
  for (std::size_t k = count - 1; k > 0; --k) {
    end = from[k][end];
    cuts[k - 1] = end;
  }
  return cuts;
}

std::vector<float> otsu_thresholds(std::span<const float> values, int classes, int bins) {
  TRIPTYCH_ASSERT(bins >= 2);
  float low = std::numeric_limits<float>::infinity();
  float high = -low;
  for (const float value : values) {
    if (!std::isfinite(value)) continue;
    low = std::min(low, value);
    high = std::max(high, value);
  }
  if (!(low < high))
    throw data_error("Otsu thresholds: expected at least two different grey values");
  const double width = (static_cast<double>(high) - static_cast<double>(low)) / bins;
  std::vector<double> histogram(static_cast<std::size_t>(bins), 0.0);
  for (const float value : values) {
    if (!std::isfinite(value)) continue;
    const auto bin = static_cast<std::int64_t>((static_cast<double>(value) - low) / width);
    histogram[static_cast<std::size_t>(std::clamp<std::int64_t>(bin, 0, bins - 1))] += 1.0;
  }
  std::vector<float> thresholds;
  for (const std::size_t cut : otsu_cuts(histogram, classes)) {
    thresholds.push_back(static_cast<float>(low + width * static_cast<double>(cut)));
  }
  return thresholds;
}

std::vector<std::int64_t> classify_by_thresholds(std::span<const float> values,
                                                 std::span<const float> thresholds) {
  std::vector<std::int64_t> classes;
  classes.reserve(values.size());
  for (const float value : values) {
    classes.push_back(std::upper_bound(thresholds.begin(), thresholds.end(), value) -
                      thresholds.begin());
  }
  return classes;
}

}  // namespace triptych
