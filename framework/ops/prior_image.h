// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/ops/denoise.h"

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace triptych {

// Non-local prior-image regularisation of tomography with metal. A prior image of the same object,
// an earlier scan say, fills in what the metal hides. It is never compared pixel by pixel: the
// image is drawn to the mean of those pixels of the prior whose surroundings look like its own, so
// a prior may be slightly displaced. How much a pixel is drawn depends on
// the angle under which it sees the metal, since that is the share of its rays that are lost.

/// What the regulariser knows for one image x: the non-local mean of the prior, x_nl.
///
/// R(x) = 1/2 sum_i w_i (x_i - x_nl,i)^2 with x_nl(i) = sum_j w_ij prior(j), where the normalised
/// weights w_ij = exp(-|P_x(i) - P_prior(j)|^2 / h^2) compare patches (mean squared difference) and
/// j runs over the search window around i. x_nl is held fixed within a step (as in non-local
/// regularisation by alternation; Peyre, Bougleux and Cohen, ECCV 2008).
class PriorRegulariser {
 public:
  /// `image` and `prior` are finite float32 [C, D, H, W] of equal size on the CPU, `weights` w >= 0
  /// broadcasts to it. Throws shape_error for a prior of another size.
  PriorRegulariser(const at::Tensor& image,
                   const at::Tensor& prior,
                   const at::Tensor& weights,
                   const NonLocalMeansOptions& options);

  const at::Tensor& mean() const { return mean_; }
  double value(const at::Tensor& image) const;
  at::Tensor gradient(const at::Tensor& image) const;
  /// argmin_u 1/2 |u - image|^2 + strength R(u) = (image + strength w x_nl) / (1 + strength w). On
  /// the phantom of the tests iterations with 0.3 ended nearer to the truth than with 3 and 30.
  at::Tensor proximal(const at::Tensor& image, double strength) const;

 private:
  at::Tensor mean_, weights_;
};

/// Share of the full circle, in [0, 1], under which every pixel sees metal in its slice: float32 of
/// the shape of `metal` [..., D, H, W], which is not zero where there is metal.
///
/// Rays leave every pixel's centre in `directions` (even, >= 4) evenly spaced directions; the share
/// of those that meet a metal pixel, taken as the square it is, is the angle over 2 pi to within
/// one ray and a sixteenth of a pixel at each edge of the metal. Metal sees itself all around: 1.
/// Falls with the distance from a single piece. Does not depend on the number of threads.
at::Tensor opening_angle_weights(const at::Tensor& metal, std::int64_t directions = 360);

}  // namespace triptych
