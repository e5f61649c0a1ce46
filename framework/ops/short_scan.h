// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/ops/scan_geometry.h"

#include <cstddef>
#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

namespace triptych {

/// Distances from each angle to the next on a circle, in the order of `order`.
struct CircularGaps {
  static constexpr double kLargest = 4.0;  ///< in median gaps; a wider one was not scanned

  std::vector<std::size_t> order;  ///< angles sorted on the circle
  std::vector<double> gap;         ///< gap[i]: from order[i] to order[i + 1]
  double median = 0.0;
  double largest = 0.0;
};
CircularGaps circular_gaps(const std::vector<double>& angles_rad, double circle_rad);

/// Weights [A, `columns`] float64 of a fan beam's rays where the source covers a part of the circle
/// in one piece: a ray that is measured from both ends, at (b, g) and at (b + pi + 2 g, -g), b the
/// angle of the source from the start and g the ray's from the central ray, counts as one. Both
/// weights are smooth and sum to 2, the number of times that a full circle measures every ray.
///
/// Parker 1982 (Med. Phys. 9:254), with d = (covered - pi) / 2 for half the fan's angle, so that
/// scans longer than the shortest use all of their angles (Silver 2000, Med. Phys. 27:773):
///   b < 2 (d - g):     2 sin^2(pi/4 b / (d - g)),
///   b > pi - 2 g:      2 sin^2(pi/4 (pi + 2 d - b) / (d + g)),
///   between them:      2.
/// Undefined for parallel beams and full circles. Throws geometry_error when less than 180 degrees
/// and the fan are covered, or more than one gap is left out.
at::Tensor parker_weights(const ScanGeometry& scan, std::int64_t columns);

}  // namespace triptych
