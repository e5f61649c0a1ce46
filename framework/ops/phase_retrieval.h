// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace triptych {

/// What Paganin's filter needs of sample and set-up; a single material, monochromatic light.
struct PhaseSetup {
  double delta_beta = 0.0;  ///< delta / beta of the refractive index 1 - delta + i beta
  double energy_kev = 0.0;
  double distance_mm = 0.0;  ///< from sample to detector
  double pixel_size_mm = 0.0;
};

/// Length in mm over which the filter blurs: sqrt(lambda * distance * delta / (4 pi beta)).
double phase_blur_mm(const PhaseSetup& setup);
/// Detector rows beyond those wanted that the filter needs, so that cutting elsewhere changes a
/// value by less than 1e-4 of the contrast.
std::int64_t phase_halo_rows(const PhaseSetup& setup);

/// Single-distance phase retrieval (Paganin, Mayo, Gureyev, Miller and Wilkins 2002, J. Microscopy
/// 206:33, eq. 12): transmissions [A, D, W] as measured at a distance -> those of absorption alone,
///   F^-1( F(T) / (1 + lambda * distance * delta / (4 pi beta) * |k|^2) ),  k = 2 pi f in 1/mm.
/// -ln of the result is the line integral of the linear attenuation. The pictures are continued by
/// their outermost values.
at::Tensor retrieve_phase(const at::Tensor& transmission, const PhaseSetup& setup);

}  // namespace triptych
