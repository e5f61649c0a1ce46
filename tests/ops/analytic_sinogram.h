// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cmath>
#include <numbers>
#include <vector>

#include <ATen/ATen.h>

namespace triptych {

/// An ellipse of constant attenuation: centre and half axes in pixels, turned by `tilt_rad`.
struct AnalyticEllipse {
  double x, y, a, b, tilt_rad, value;
};

/// Three ellipses off the middle, so that no two views are alike.
inline std::vector<AnalyticEllipse> three_ellipses() {
  return {{4.0, -6.0, 38.0, 29.0, 0.4, 0.02},
          {15.0, 5.0, 9.0, 6.0, -0.3, 0.03},
          {-14.0, -10.0, 5.0, 11.0, 0.9, -0.01}};
}

/// Line integrals [A, columns] of ellipses: along the ray at u = x cos a - y sin a the chord is
/// 2 a b sqrt(s^2 - t^2) / s^2 with t the distance of the ray from the centre and s the half width
/// of the shadow.
inline at::Tensor analytic_sinogram(const std::vector<AnalyticEllipse>& ellipses,
                                    const std::vector<double>& angles_rad,
                                    std::int64_t columns,
                                    double centre_column) {
  const auto angles = static_cast<std::int64_t>(angles_rad.size());
  at::Tensor sinogram = at::zeros({angles, columns}, at::kDouble);
  auto values = sinogram.accessor<double, 2>();
  for (std::int64_t i = 0; i < angles; ++i) {
    const double c = std::cos(angles_rad[i]);
    const double s = std::sin(angles_rad[i]);
    for (const AnalyticEllipse& e : ellipses) {
      const double along = c * std::cos(e.tilt_rad) - s * std::sin(e.tilt_rad);
      const double across = c * std::sin(e.tilt_rad) + s * std::cos(e.tilt_rad);
      const double width2 = e.a * e.a * along * along + e.b * e.b * across * across;
      for (std::int64_t j = 0; j < columns; ++j) {
        const double t = static_cast<double>(j) - centre_column - (e.x * c - e.y * s);
        if (t * t < width2)
          values[i][j] += 2.0 * e.value * e.a * e.b * std::sqrt(width2 - t * t) / width2;
      }
    }
  }
  return sinogram.to(at::kFloat);
}

/// `count` angles from 0 in steps of `range_degrees` / `count`.
inline std::vector<double> even_angles(std::int64_t count, double range_degrees) {
  std::vector<double> angles;
  for (std::int64_t i = 0; i < count; ++i)
    angles.push_back(range_degrees / 180.0 * std::numbers::pi * static_cast<double>(i) /
                     static_cast<double>(count));
  return angles;
}

}  // namespace triptych
