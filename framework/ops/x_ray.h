// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/core/random.h"

#include <span>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

namespace triptych {

// What an X-ray tube, an object and a detector make of line integrals: polychromatic attenuation,
// photon and electronic noise, gain errors.

/// Materials with a table of attenuation. Bone is cortical (ICRU 44).
enum class XRayMaterial { kWater, kBone, kMagnesium, kAluminium, kTitanium, kIron };
/// "water", "bone", "magnesium", "aluminium", "titanium" or "iron"; throws ConfigError otherwise.
XRayMaterial x_ray_material(const std::string& name);
std::vector<std::string> x_ray_material_names();

/// Mass density in g/cm^3 (Hubbell and Seltzer, NISTIR 5632, tables 1 and 2).
double density_g_cm3(XRayMaterial material);
/// Linear attenuation in 1/cm of the material at its density, for 10 to 150 keV; logarithmic
/// interpolation of Hubbell and Seltzer's table 3 and 4, coherent scatter included. No absorption
/// edge of these materials lies in that range. Throws numeric_error outside.
double attenuation_per_cm(XRayMaterial material, double energy_kev);

/// A beam as the detector weighs it.
struct XRaySpectrum {
  std::vector<double> energies_kev;
  std::vector<double> shares;  ///< of the signal without an object; their sum is 1

  static XRaySpectrum monochromatic(double energy_kev) { return {{energy_kev}, {1.0}}; }
};

/// Bremsstrahlung of a tube of `peak_kv` (20 to 150) by Kramers' law, photons ~ (E0 - E) / E,
/// behind `aluminium_mm` of filter, on an energy-integrating detector, in bins of about 2 keV from
/// 10 keV on. Characteristic lines of the anode are left out.
XRaySpectrum tube_spectrum(double peak_kv, double aluminium_mm);

/// Mean attenuation of the unhardened beam in 1/cm, sum of shares times attenuation.
double mean_attenuation_per_cm(XRayMaterial material, const XRaySpectrum& spectrum);

/// How much of a material each ray passes.
struct MaterialPath {
  XRayMaterial material = XRayMaterial::kWater;
  at::Tensor length_cm;  ///< any shape, the same for all materials; floating point, >= 0
};

/// What the detector measures, -ln(I / I0) with I = sum_E share(E) exp(-sum_m mu_m(E) L_m); of the
/// paths' shape. Differentiable. It grows less than linearly: beam hardening.
at::Tensor polychromatic_line_integrals(std::span<const MaterialPath> paths,
                                        const XRaySpectrum& spectrum);

/// The usual first-order correction: a measured line integral becomes that of the path of water
/// with the same signal, times the mean attenuation of water. So an object of water alone is free
/// of cupping. The table of 512 paths up to `longest_cm` is interpolated linearly and continued in
/// a straight line. Differentiable.
at::Tensor corrected_for_water(const at::Tensor& measured,
                               const XRaySpectrum& spectrum,
                               double longest_cm);

struct PhotonNoise {
  double photons = 1e5;     ///< that reach a detector pixel without an object, in one projection
  double electronic = 0.0;  ///< standard deviation of the read-out noise, in photons
};

/// Line integrals as counted: Poisson(photons exp(-p)) plus normal read-out noise, then -ln again.
/// Counts below one become one, as a scanner's software does to take the logarithm. float32,
/// contiguous. One random stream for every row of the last axis, so that the result does not depend
/// on threads.
at::Tensor with_photon_noise(const at::Tensor& line_integrals,
                             const PhotonNoise& noise,
                             const RandomStream& stream);

/// Line integrals [..., D, A, W] of a detector whose pixels (row, column) have wrong gains,
/// log-normal with the standard deviation `deviation`: the same error in every projection, which
/// makes rings.
at::Tensor with_gain_errors(const at::Tensor& line_integrals,
                            double deviation,
                            RandomStream stream);

}  // namespace triptych
