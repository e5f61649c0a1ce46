// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/x_ray.h"

#include "framework/core/error.h"
#include "framework/core/parallel.h"
#include "framework/core/suggest.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <ATen/ATen.h>

namespace triptych {
namespace {

constexpr std::size_t kEnergies = 10;
constexpr std::array<double, kEnergies> kEnergyKev = {10, 15, 20, 30, 40, 50, 60, 80, 100, 150};

struct MaterialTable {
  const char* name;
  double density_g_cm3;
  std::array<double, kEnergies> mass_attenuation;  ///< cm^2/g at kEnergyKev
};

/// J. H. Hubbell and S. M. Seltzer, NISTIR 5632 (1995, web version 2004), tables 1 to 4; in the
/// order of XRayMaterial.
constexpr std::array<MaterialTable, 6> kMaterials = {{
    {"water",
     1.000,
     {5.329, 1.673, 0.8096, 0.3756, 0.2683, 0.2269, 0.2059, 0.1837, 0.1707, 0.1505}},
    {"bone", 1.920, {28.51, 9.032, 4.001, 1.331, 0.6655, 0.4242, 0.3148, 0.2229, 0.1855, 0.1480}},
    {"magnesium",
     1.740,
     {21.05, 6.358, 2.763, 0.9306, 0.4881, 0.3292, 0.2570, 0.1951, 0.1686, 0.1394}},
    {"aluminium",
     2.699,
     {26.23, 7.955, 3.441, 1.128, 0.5685, 0.3681, 0.2778, 0.2018, 0.1704, 0.1378}},
    {"titanium", 4.540, {110.7, 35.87, 15.85, 4.972, 2.214, 1.213, 0.7661, 0.4052, 0.2721, 0.1649}},
    {"iron", 7.874, {170.6, 57.08, 25.68, 8.176, 3.629, 1.958, 1.205, 0.5952, 0.3717, 0.1964}},
}};

const MaterialTable& table_of(XRayMaterial material) {
  return kMaterials[static_cast<std::size_t>(material)];
}

double measured_integral(XRayMaterial material, const XRaySpectrum& spectrum, double length_cm) {
  double signal = 0.0;
  for (std::size_t i = 0; i < spectrum.shares.size(); ++i) {
    signal += spectrum.shares[i] *
              std::exp(-attenuation_per_cm(material, spectrum.energies_kev[i]) * length_cm);
  }
  return -std::log(signal);
}

}  // namespace

std::vector<std::string> x_ray_material_names() {
  std::vector<std::string> names;
  for (const MaterialTable& material : kMaterials) names.emplace_back(material.name);
  return names;
}

XRayMaterial x_ray_material(const std::string& name) {
  for (std::size_t i = 0; i < kMaterials.size(); ++i) {
    if (name == kMaterials[i].name) return static_cast<XRayMaterial>(i);
  }
  const std::vector<std::string> names = x_ray_material_names();
  throw usage_error(
      fmt::format("material: no table of attenuation for '{}'{}", name, did_you_mean(name, names)),
      "there are tables for " + join(names));
}

double density_g_cm3(XRayMaterial material) { return table_of(material).density_g_cm3; }

double attenuation_per_cm(XRayMaterial material, double energy_kev) {
  if (!(energy_kev >= kEnergyKev.front() && energy_kev <= kEnergyKev.back())) {
    throw numeric_error(fmt::format("attenuation: expected an energy from {} to {} keV, got {:g}",
                                    kEnergyKev.front(),
                                    kEnergyKev.back(),
                                    energy_kev));
  }
  const MaterialTable& table = table_of(material);
  const auto above = std::lower_bound(kEnergyKev.begin() + 1, kEnergyKev.end() - 1, energy_kev);
  const auto high = static_cast<std::size_t>(above - kEnergyKev.begin());
  const std::size_t low = high - 1;
  const double t =
      std::log(energy_kev / kEnergyKev[low]) / std::log(kEnergyKev[high] / kEnergyKev[low]);
  return table.density_g_cm3 * std::pow(table.mass_attenuation[low], 1.0 - t) *
         std::pow(table.mass_attenuation[high], t);
}

XRaySpectrum tube_spectrum(double peak_kv, double aluminium_mm) {
  constexpr double kLowestKev = 10.0;
  constexpr double kBinKev = 2.0;
  if (!(peak_kv >= 20.0 && peak_kv <= kEnergyKev.back()) || !(aluminium_mm >= 0.0)) {
    throw numeric_error(fmt::format(
        "spectrum: expected a tube of 20 to 150 kV behind 0 mm of aluminium or more, got {:g} kV "
        "and {:g} mm",
        peak_kv,
        aluminium_mm));
  }
  const auto bins = static_cast<int>(std::ceil((peak_kv - kLowestKev) / kBinKev));
  const double width = (peak_kv - kLowestKev) / bins;
  XRaySpectrum spectrum;
  double sum = 0.0;
  for (int bin = 0; bin < bins; ++bin) {
    const double energy = kLowestKev + (bin + 0.5) * width;
    // (E0 - E) / E photons of energy E each.
    const double signal =
        (peak_kv - energy) *
        std::exp(-attenuation_per_cm(XRayMaterial::kAluminium, energy) * 0.1 * aluminium_mm);
    spectrum.energies_kev.push_back(energy);
    spectrum.shares.push_back(signal);
    sum += signal;
  }
  for (double& share : spectrum.shares) share /= sum;
  return spectrum;
}

double mean_attenuation_per_cm(XRayMaterial material, const XRaySpectrum& spectrum) {
  double mean = 0.0;
  for (std::size_t i = 0; i < spectrum.shares.size(); ++i)
    mean += spectrum.shares[i] * attenuation_per_cm(material, spectrum.energies_kev[i]);
  return mean;
}

at::Tensor polychromatic_line_integrals(std::span<const MaterialPath> paths,
                                        const XRaySpectrum& spectrum) {
  if (paths.empty()) throw shape_error("polychromatic projection: expected at least one material");
  for (const MaterialPath& path : paths) {
    if (!path.length_cm.sizes().equals(paths[0].length_cm.sizes()))
      throw shape_error("polychromatic projection: expected paths of one shape for all materials");
  }
  // Sums of mu L over materials. The energy that passes best is taken out of the sum over energies,
  // so that some signal is left however long the paths.
  const auto integrals = [&](const auto& per_cm) {
    at::Tensor sum = paths[0].length_cm * per_cm(paths[0].material);
    for (const MaterialPath& path : paths.subspan(1))
      sum = at::add(sum, path.length_cm, per_cm(path.material));
    return sum;
  };
  const double best = *std::max_element(spectrum.energies_kev.begin(), spectrum.energies_kev.end());
  const auto at_best = [&](XRayMaterial material) { return attenuation_per_cm(material, best); };
  at::Tensor signal;
  for (std::size_t i = 0; i < spectrum.shares.size(); ++i) {
    const at::Tensor passed = at::exp(integrals([&](XRayMaterial material) {
      return at_best(material) - attenuation_per_cm(material, spectrum.energies_kev[i]);
    }));
    signal = signal.defined() ? at::add(signal, passed, spectrum.shares[i])
                              : passed * spectrum.shares[i];
  }
  return integrals(at_best) - signal.log();
}

at::Tensor corrected_for_water(const at::Tensor& measured,
                               const XRaySpectrum& spectrum,
                               double longest_cm) {
  constexpr std::int64_t kPaths = 512;
  const double step = longest_cm / static_cast<double>(kPaths - 1);
  std::vector<double> signal(kPaths);
  for (std::int64_t i = 0; i < kPaths; ++i)
    signal[i] = measured_integral(XRayMaterial::kWater, spectrum, static_cast<double>(i) * step);
  const at::Tensor table = at::tensor(signal, at::kDouble).to(measured.options());
  const at::Tensor above =
      at::searchsorted(table, measured.detach().contiguous()).clamp_(1, kPaths - 1);
  const at::Tensor low = table.take(above - 1);
  const at::Tensor part = (measured - low) / (table.take(above) - low);
  const at::Tensor length = (above - 1 + part) * step;
  return length * mean_attenuation_per_cm(XRayMaterial::kWater, spectrum);
}

at::Tensor with_photon_noise(const at::Tensor& line_integrals,
                             const PhotonNoise& noise,
                             const RandomStream& stream) {
  if (!(noise.photons >= 1.0) || !(noise.electronic >= 0.0)) {
    throw numeric_error(fmt::format(
        "photon noise: expected at least one photon and no negative read-out noise, got {:g} and "
        "{:g}",
        noise.photons,
        noise.electronic));
  }
  const at::Tensor result = line_integrals.detach().to(at::kCPU, at::kFloat).contiguous().clone();
  if (result.numel() == 0) return result;
  const std::int64_t columns = result.size(-1);
  auto* values = result.data_ptr<float>();
  constexpr std::int64_t kRowsAtOnce = 16;
  parallel_for(result.numel() / columns, kRowsAtOnce, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      RandomStream own = stream.derive(static_cast<std::uint64_t>(row));
      for (float* p = values + row * columns; p < values + (row + 1) * columns; ++p) {
        double count = own.poisson(noise.photons * std::exp(-static_cast<double>(*p)));
        if (noise.electronic > 0.0) count += noise.electronic * own.normal();
        *p = static_cast<float>(-std::log(std::max(count, 1.0) / noise.photons));
      }
    }
  });
  return result;
}

at::Tensor with_gain_errors(const at::Tensor& line_integrals,
                            double deviation,
                            RandomStream stream) {
  if (line_integrals.dim() < 3) {
    throw shape_error(fmt::format("gain errors: expected projections [..., D, A, W], got {} axes",
                                  line_integrals.dim()));
  }
  const std::int64_t rows = line_integrals.size(-3);
  const std::int64_t columns = line_integrals.size(-1);
  std::vector<double> log_gain(static_cast<std::size_t>(rows * columns));
  for (double& value : log_gain) value = deviation * stream.normal();
  return line_integrals -
         at::tensor(log_gain, at::kDouble).to(line_integrals.options()).view({rows, 1, columns});
}

}  // namespace triptych
