// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/attenuation.h"

#include "framework/core/error.h"

#include <cmath>

#include <ATen/ATen.h>

namespace triptych {
namespace {

constexpr double kWaterToAir = 1000.0;

void check_water(double mu_water_per_cm) {
  if (std::isfinite(mu_water_per_cm) && mu_water_per_cm > 0.0) return;
  throw data_error(fmt::format("attenuation of water: expected a positive value in 1/cm, got {}",
                               mu_water_per_cm));
}

at::Tensor as_floating(const at::Tensor& x) { return x.is_floating_point() ? x : x.to(at::kFloat); }

}  // namespace

at::Tensor hounsfield_from_attenuation(const at::Tensor& mu_per_cm, double mu_water_per_cm) {
  check_water(mu_water_per_cm);
  return as_floating(mu_per_cm) * (kWaterToAir / mu_water_per_cm) - kWaterToAir;
}

at::Tensor attenuation_from_hounsfield(const at::Tensor& hounsfield, double mu_water_per_cm) {
  check_water(mu_water_per_cm);
  return (as_floating(hounsfield) + kWaterToAir) * (mu_water_per_cm / kWaterToAir);
}

}  // namespace triptych
