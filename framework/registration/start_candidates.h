// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/registration/affine_ascent.h"

#include <cstdint>
#include <vector>

namespace triptych {

/// Where the mass of an image lies: of its grey values' distance to the background, which is the
/// median along the borders of the field of view.
struct ImageMoments {
  Eigen::Vector3d centre_mm;
  Eigen::Matrix3d axes;  ///< principal axes, largest extent first, right-handed
};

ImageMoments image_moments(const RegistrationImage& image);

/// About `count` rotations spread evenly over all rotations by at most `largest_rad`
/// (super-Fibonacci spirals, Alexa 2022), the identity first, then the other 23 that map axes onto
/// axes.
std::vector<Eigen::Matrix3d> rotation_grid(std::int64_t count, double largest_rad);

/// First guesses of a map: rotations (in the plane for planar images) about the centres of the
/// fields of view, the centres of mass and the place of the fixed image in the world's coordinates,
/// with shifts about each; the principal axes on one another. The files' own coordinates come
/// first.
std::vector<AffineMap> start_candidates(const RegistrationImage& fixed,
                                        const RegistrationImage& moving,
                                        const AlignmentFrame& frame,
                                        double largest_rotation_rad);

/// A guess, then the same turned by at most `largest_rad` about the middle of the fixed image, in
/// the plane of planar ones.
std::vector<AffineMap> candidates_near(const AffineMap& guess,
                                       const Geometry& fixed,
                                       const AlignmentFrame& frame,
                                       double largest_rad);

}  // namespace triptych
