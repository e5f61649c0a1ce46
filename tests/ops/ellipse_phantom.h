// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/ops/projector.h"

#include <cmath>
#include <numbers>
#include <vector>

#include <ATen/ATen.h>

namespace triptych::testing {

/// An ellipse about (x, y) mm from the rotation axis, y downwards; its first half-axis is turned by
/// `turn_rad` from x to y.
struct Ellipse {
  double x, y, half_a, half_b, turn_rad, mu_per_cm;
};

inline const std::vector<Ellipse> kEllipses = {{0.0, 0.0, 41.0, 33.0, 0.2, 0.2},
                                               {12.0, -9.0, 11.0, 7.0, -0.5, 0.15},
                                               {-15.0, 8.0, 6.0, 13.0, 0.3, -0.1}};

/// The slice [rows, columns] in 1/cm, each pixel the mean of 8 x 8 points.
inline at::Tensor ellipse_image(const SliceGrid& grid) {
  constexpr int kPoints = 8;
  at::Tensor image = at::zeros({grid.rows, grid.columns}, at::kDouble);
  auto values = image.accessor<double, 2>();
  for (const Ellipse& e : kEllipses) {
    for (std::int64_t i = 0; i < grid.rows * kPoints; ++i) {
      for (std::int64_t j = 0; j < grid.columns * kPoints; ++j) {
        const double row = (static_cast<double>(i) + 0.5) / kPoints - 0.5;
        const double column = (static_cast<double>(j) + 0.5) / kPoints - 0.5;
        const double x = (column - grid.centre_column) * grid.column_spacing_mm - e.x;
        const double y = (row - grid.centre_row) * grid.row_spacing_mm - e.y;
        const double along = (x * std::cos(e.turn_rad) + y * std::sin(e.turn_rad)) / e.half_a;
        const double across = (y * std::cos(e.turn_rad) - x * std::sin(e.turn_rad)) / e.half_b;
        if (along * along + across * across <= 1.0)
          values[i / kPoints][j / kPoints] += e.mu_per_cm / (kPoints * kPoints);
      }
    }
  }
  return image;
}

/// The integral along the parallel ray of angle `angle_rad` at `across_mm` on the detector.
inline double ellipse_integral(double angle_rad, double across_mm) {
  const double normal_x = std::cos(angle_rad), normal_y = -std::sin(angle_rad);
  double sum = 0.0;
  for (const Ellipse& e : kEllipses) {
    const double along = normal_x * std::cos(e.turn_rad) + normal_y * std::sin(e.turn_rad);
    const double across = normal_y * std::cos(e.turn_rad) - normal_x * std::sin(e.turn_rad);
    const double width = std::pow(e.half_a * along, 2) + std::pow(e.half_b * across, 2);
    const double distance = across_mm - normal_x * e.x - normal_y * e.y;
    if (distance * distance >= width) continue;
    sum += e.mu_per_cm * 0.1 * 2.0 * e.half_a * e.half_b * std::sqrt(width - distance * distance) /
           width;
  }
  return sum;
}

/// Exact projections [A, columns]. The fan's ray at angle g from the central ray is the parallel
/// ray of angle a + g that passes the axis at source_to_axis * sin g. `rays` parallel lines are
/// averaged over each detector column.
inline at::Tensor ellipse_projections(const ScanGeometry& scan,
                                      std::int64_t columns,
                                      int rays = 1) {
  const auto angles = static_cast<std::int64_t>(scan.angles_rad.size());
  at::Tensor projections = at::zeros({angles, columns}, at::kDouble);
  auto values = projections.accessor<double, 2>();
  for (std::int64_t a = 0; a < angles; ++a) {
    for (std::int64_t i = 0; i < columns * rays; ++i) {
      const double column = (static_cast<double>(i) + 0.5) / rays - 0.5;
      double across = (column - scan.centre_column) * scan.column_spacing_mm;
      double angle = scan.angles_rad[static_cast<std::size_t>(a)];
      if (scan.beam != ScanGeometry::Beam::kParallel) {
        const double fan = scan.beam == ScanGeometry::Beam::kFanFlat
                               ? std::atan(across / scan.source_to_detector_mm)
                               : across / scan.source_to_detector_mm;
        angle += fan;
        across = scan.source_to_axis_mm * std::sin(fan);
      }
      values[a][i / rays] += ellipse_integral(angle, across) / rays;
    }
  }
  return projections;
}

inline std::vector<double> even_angles(std::int64_t count, double range_rad, double first = 0.0) {
  std::vector<double> angles;
  for (std::int64_t i = 0; i < count; ++i)
    angles.push_back(first + range_rad * static_cast<double>(i) / static_cast<double>(count));
  return angles;
}

/// A scan of `columns` columns that covers the ellipses' 100 mm field of view.
inline ScanGeometry covering_scan(ScanGeometry::Beam beam,
                                  std::int64_t angles,
                                  std::int64_t columns) {
  const bool parallel = beam == ScanGeometry::Beam::kParallel;
  ScanGeometry scan;
  scan.beam = beam;
  scan.angles_rad =
      even_angles(angles, parallel ? std::numbers::pi : 2.0 * std::numbers::pi, 0.013);
  scan.source_to_axis_mm = 210.0;
  scan.source_to_detector_mm = 330.0;
  scan.column_spacing_mm = (parallel ? 100.0 : 170.0) / static_cast<double>(columns);
  scan.centre_column = 0.5 * static_cast<double>(columns - 1);
  return scan;
}

/// Sums in double precision.
inline double inner_product(const at::Tensor& a, const at::Tensor& b) {
  return (a.to(at::kDouble) * b.to(at::kDouble)).sum().item<double>();
}
inline double two_norm(const at::Tensor& a) { return std::sqrt(inner_product(a, a)); }

inline const char* beam_name(ScanGeometry::Beam beam) {
  return beam == ScanGeometry::Beam::kParallel  ? "Parallel"
         : beam == ScanGeometry::Beam::kFanFlat ? "FanFlat"
                                                : "FanCurved";
}

}  // namespace triptych::testing
