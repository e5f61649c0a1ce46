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

struct BeamErrors {
  double density = 3.0;     ///< line integral through a field of view full of value 1
  double hardening = 0.05;  ///< b of: measured = c p - b (p + metal_factor * p_metal)^2, c by
                            ///< calibration: cupping, dark bands between dense parts
  double metal_factor =
      1.0;  ///< absorption of the metal beyond its grey value: hardening and noise along it
  double noise =
      0.03;  ///< standard deviation in grey values where rays pass nothing; grows along dense paths
  double views_per_pixel =
      1.2;  ///< projections over 180 degrees per detector pixel; few give streaks
};

/// Errors of a parallel-beam CT scan, slice by slice: the image is projected, each line integral
/// gets its beam hardening and photon noise, and the filtered backprojection (Ram-Lak) of the
/// *differences* alone is added. So without errors the image stays as it is, bit for bit. `metal`
/// (may be empty) holds the metal's fraction of every voxel.
void add_beam_errors(ScalarGrid& grid,
                     const std::vector<float>& metal,
                     const BeamErrors& errors,
                     RandomStream stream);

}  // namespace triptych
