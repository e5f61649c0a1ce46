// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/core/random.h"
#include "framework/ops/scalar_grid.h"

#include <vector>

namespace triptych {

// What scanners add to an image. All act in place; the rotation axis of a CT scan is tensor axis D
// through the grid's centre.

/// Independent Gaussian noise of one standard deviation in every voxel.
void add_white_noise(ScalarGrid& grid, double deviation, RandomStream stream);

/// Magnitude of a complex signal with independent Gaussian noise in both parts (Gudbjartsson and
/// Patz, 1995).
void make_rician(ScalarGrid& grid, double deviation, RandomStream stream);

/// Concentric rings about the rotation axis, from detector pixels of slightly wrong gain: half of
/// each ring's strength stays the same along the axis, half changes with the detector row.
/// `deviation` is the rings' standard deviation in grey values; every twentieth one is four times
/// as strong.
void add_rings(ScalarGrid& grid, double deviation, RandomStream stream);

/// Multiplies by exp(deviation * smooth field) with structures of about the size of the field of
/// view.
void apply_bias_field(ScalarGrid& grid, double deviation, RandomStream stream);

/// Signal lost about metal, whose field dephases the spins, and what of it is mapped elsewhere as a
/// bright rim. At distance d from the metal, with a = d / reach, the factor on the signal is
/// (1 - exp(-a^2)) (1 + rim exp(-4 (a - 2)^2)), and 0 within.
struct SignalVoid {
  double reach_mm = 0.0;      ///< 0: no void
  double rim = 0.35;          ///< relative signal gained at twice the reach
  double unevenness = 0.3;    ///< about the standard deviation of the logarithm of the reach
  double structure_mm = 1.0;  ///< over which the reach varies
};

/// `distance_mm` to the metal, one a voxel.
void add_signal_void(ScalarGrid& grid,
                     const std::vector<float>& distance_mm,
                     const SignalVoid& signal_void,
                     const RandomStream& stream);

}  // namespace triptych
