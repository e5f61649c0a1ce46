// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/core/random.h"

#include <array>
#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

namespace triptych {

/// An object of ellipsoids, boxes and cracks within a body, for networks that must not learn what
/// the real objects look like.
struct RandomShapes {
  std::array<std::int64_t, 2> count{8, 30};  ///< fewest, most shapes
  std::array<double, 2> radius{0.02, 0.4};   ///< of half the field of view; drawn in the logarithm
  double cracks = 0.25;                      ///< share of the shapes that are thin
  double distortion = 0.06;                  ///< bends all borders, of half the field of view
  double texture = 0.05;                     ///< relative deviation of the values within a shape
  double grain = 0.0;  ///< standard deviation of independent noise in the body's voxels
  double contrast =
      1.0;  ///< of the shapes to the body, relative to values drawn between 0 and largest
  double strong = 0.0;   ///< share of the shapes that keep a contrast of 1, as bone and gas do
  double largest = 1.0;  ///< value of a shape
  std::array<double, 2> body{0.2, 0.7};  ///< least, largest value of the body
};

/// Classes of the labels.
enum class ShapeClass : std::int64_t { kBackground, kBody, kEllipsoid, kBox, kCrack };

struct PaintedShapes {
  at::Tensor image;   ///< [D, H, W] float32: 0 in air, 0 to about `largest` within the body
  at::Tensor labels;  ///< [D, H, W] int64, ShapeClass
};

/// Paints shapes on a grid of cubic voxels; of a single slice (D = 1) they are cut through the
/// middle. Borders cover voxels in part. Equal streams give equal bits whatever the number of
/// threads.
PaintedShapes paint_random_shapes(const std::array<std::int64_t, 3>& size,
                                  const RandomShapes& shapes,
                                  const RandomStream& stream);

}  // namespace triptych
