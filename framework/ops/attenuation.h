// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ATen/core/Tensor.h>

namespace triptych {

/// Hounsfield units of linear attenuations: 1000 (mu - mu_water) / mu_water, all in 1/cm. Air is
/// about -1000, water 0. `mu_water_per_cm` belongs to the beam: 0.206 at 60 keV, 0.171 at 100 keV.
/// Throws data_error unless it is positive.
at::Tensor hounsfield_from_attenuation(const at::Tensor& mu_per_cm, double mu_water_per_cm);

/// The inverse: mu_water (1 + HU / 1000) in 1/cm. Integers become float32.
at::Tensor attenuation_from_hounsfield(const at::Tensor& hounsfield, double mu_water_per_cm);

}  // namespace triptych
