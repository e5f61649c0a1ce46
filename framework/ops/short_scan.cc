// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/short_scan.h"

#include "framework/core/error.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numbers>
#include <numeric>

#include <ATen/ATen.h>

namespace triptych {
namespace {

using std::numbers::pi;

/// Angle between the ray of a column and the central ray.
double fan_angle_rad(const ScanGeometry& scan, std::int64_t column) {
  const double across_mm =
      (static_cast<double>(column) - scan.centre_column) * scan.column_spacing_mm;
  return scan.beam == ScanGeometry::Beam::kFanFlat
             ? std::atan2(across_mm, scan.source_to_detector_mm)
             : across_mm / scan.source_to_detector_mm;
}

double squared_sine(double x) { return std::sin(x) * std::sin(x); }

/// `from_start` in (0, pi + 2 half_excess).
double parker_weight(double from_start, double fan, double half_excess) {
  if (from_start < 2.0 * (half_excess - fan))
    return 2.0 * squared_sine(0.25 * pi * from_start / (half_excess - fan));
  if (from_start > pi - 2.0 * fan)
    return 2.0 *
           squared_sine(0.25 * pi * (pi + 2.0 * half_excess - from_start) / (half_excess + fan));
  return 2.0;
}

}  // namespace

CircularGaps circular_gaps(const std::vector<double>& angles_rad, double circle_rad) {
  const std::size_t count = angles_rad.size();
  std::vector<double> wrapped(count);
  for (std::size_t i = 0; i < count; ++i)
    wrapped[i] = angles_rad[i] - circle_rad * std::floor(angles_rad[i] / circle_rad);
  CircularGaps result;
  result.order.resize(count);
  std::iota(result.order.begin(), result.order.end(), std::size_t{0});
  std::stable_sort(result.order.begin(), result.order.end(), [&](std::size_t a, std::size_t b) {
    return wrapped[a] < wrapped[b];
  });
  for (std::size_t i = 0; i < count; ++i) {
    const bool last = i + 1 == count;
    const double next = wrapped[result.order[last ? 0 : i + 1]] + (last ? circle_rad : 0.0);
    result.gap.push_back(next - wrapped[result.order[i]]);
  }
  // Angles that fall together, as 0 and 180 degrees do, say nothing about the usual step.
  std::vector<double> steps;
  std::copy_if(result.gap.begin(), result.gap.end(), std::back_inserter(steps), [&](double gap) {
    return gap > 1e-9 * circle_rad;
  });
  std::nth_element(steps.begin(), steps.begin() + static_cast<long>(steps.size() / 2), steps.end());
  result.median = steps[steps.size() / 2];
  result.largest = *std::max_element(result.gap.begin(), result.gap.end());
  return result;
}

at::Tensor parker_weights(const ScanGeometry& scan, std::int64_t columns) {
  if (scan.beam == ScanGeometry::Beam::kParallel) return {};
  const CircularGaps gaps = circular_gaps(scan.angles_rad, 2.0 * pi);
  const std::size_t count = scan.angles_rad.size();
  const auto missing = [&](double gap) { return gap > CircularGaps::kLargest * gaps.median; };
  const auto left_out = std::count_if(gaps.gap.begin(), gaps.gap.end(), missing);
  if (left_out == 0 && count > 2) return {};

  // Every angle stands for the arc half way to its neighbours.
  const double covered = 2.0 * pi - gaps.largest + gaps.median;
  const double widest =
      std::max(std::abs(fan_angle_rad(scan, 0)), std::abs(fan_angle_rad(scan, columns - 1)));
  if (left_out != 1 || count < 3 || covered < pi + 2.0 * widest) {
    constexpr double kDegrees = 180.0 / pi;
    throw geometry_error(
        fmt::format("filtered back projection: a fan beam needs angles all around or, for this "
                    "fan, over {:.1f} degrees in one piece, got {:.1f} degrees in {} piece{}",
                    (pi + 2.0 * widest) * kDegrees,
                    left_out == 1 ? covered * kDegrees
                                  : gaps.median * kDegrees * static_cast<double>(count),
                    std::max<std::ptrdiff_t>(left_out, 1),
                    left_out > 1 ? "s" : ""),
        "use an iterative method for a part of the circle");
  }
  const double half_excess = 0.5 * (covered - pi);
  const auto before_first = static_cast<std::size_t>(
      std::max_element(gaps.gap.begin(), gaps.gap.end()) - gaps.gap.begin());
  at::Tensor weights = at::empty({static_cast<std::int64_t>(count), columns}, at::kDouble);
  double* values = weights.data_ptr<double>();
  double from_start = 0.5 * gaps.median;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t place = (before_first + 1 + i) % count;
    double* row = values + static_cast<std::int64_t>(gaps.order[place]) * columns;
    for (std::int64_t column = 0; column < columns; ++column)
      row[column] = parker_weight(from_start, fan_angle_rad(scan, column), half_excess);
    from_start += gaps.gap[place];
  }
  return weights;
}

}  // namespace triptych
