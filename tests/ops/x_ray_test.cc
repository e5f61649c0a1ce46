// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/x_ray.h"

#include "framework/core/error.h"
#include "framework/core/parallel.h"

#include "tests/support/tensor_matchers.h"

#include <cmath>
#include <numeric>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {

using testing::error_message;
using testing::near;

at::Tensor lengths(double longest_cm, std::int64_t count) {
  return at::linspace(0.0, longest_cm, count, at::kDouble);
}

TEST(XRayMaterial, HasTheTabulatedValues) {
  EXPECT_DOUBLE_EQ(attenuation_per_cm(XRayMaterial::kWater, 60.0), 0.2059);
  EXPECT_NEAR(attenuation_per_cm(XRayMaterial::kTitanium, 100.0), 4.540 * 0.2721, 1e-12);
  EXPECT_NEAR(attenuation_per_cm(XRayMaterial::kIron, 10.0), 7.874 * 170.6, 1e-9);
  EXPECT_NEAR(attenuation_per_cm(XRayMaterial::kBone, 150.0), 1.920 * 0.1480, 1e-12);
  // Half way on both logarithmic axes: the geometric mean.
  EXPECT_NEAR(attenuation_per_cm(XRayMaterial::kMagnesium, std::sqrt(20.0 * 30.0)),
              1.740 * std::sqrt(2.763 * 0.9306),
              1e-12);
}

TEST(XRayMaterial, NamesWhatThereIs) {
  for (const std::string& name : x_ray_material_names())
    EXPECT_GT(density_g_cm3(x_ray_material(name)), 0.9) << name;
  EXPECT_NE(
      error_message("usage", [] { x_ray_material("titanum"); }).find("did you mean 'titanium'"),
      std::string::npos);
  EXPECT_THROW(attenuation_per_cm(XRayMaterial::kWater, 9.0), Error);
  EXPECT_THROW(attenuation_per_cm(XRayMaterial::kWater, std::nan("")), Error);
}

TEST(TubeSpectrum, SumsToOneAndHardensBehindAFilter) {
  const auto mean_energy = [](const XRaySpectrum& spectrum) {
    return std::inner_product(
        spectrum.shares.begin(), spectrum.shares.end(), spectrum.energies_kev.begin(), 0.0);
  };
  const XRaySpectrum soft = tube_spectrum(120.0, 1.0);
  const XRaySpectrum hard = tube_spectrum(120.0, 6.0);
  EXPECT_NEAR(std::accumulate(soft.shares.begin(), soft.shares.end(), 0.0), 1.0, 1e-12);
  EXPECT_LT(mean_energy(soft), mean_energy(hard));
  EXPECT_LT(hard.energies_kev.back(), 120.0);
  EXPECT_THROW(tube_spectrum(200.0, 1.0), Error);
  EXPECT_THROW(tube_spectrum(100.0, -1.0), Error);
}

TEST(PolychromaticProjection, IsBeersLawForOneEnergy) {
  const at::Tensor water = lengths(30.0, 31);
  const MaterialPath paths[] = {{XRayMaterial::kWater, water}, {XRayMaterial::kBone, water * 0.1}};
  const at::Tensor p = polychromatic_line_integrals(paths, XRaySpectrum::monochromatic(60.0));
  EXPECT_TRUE(near(p, water * (0.2059 + 0.1 * 1.920 * 0.3148), 1e-12));
}

TEST(PolychromaticProjection, StartsWithTheMeanAttenuationAndGrowsEverSlower) {
  const XRaySpectrum spectrum = tube_spectrum(100.0, 2.0);
  const at::Tensor iron = lengths(2.0, 201);
  const MaterialPath paths[] = {{XRayMaterial::kIron, iron}};
  const at::Tensor slope = polychromatic_line_integrals(paths, spectrum).diff() / 0.01;
  EXPECT_TRUE((slope.diff() < 0.0).all().item<bool>());
  const MaterialPath thin[] = {{XRayMaterial::kIron, at::full({1}, 1e-7, at::kDouble)}};
  EXPECT_NEAR(polychromatic_line_integrals(thin, spectrum).item<double>() / 1e-7,
              mean_attenuation_per_cm(XRayMaterial::kIron, spectrum),
              1e-3);
}

TEST(PolychromaticProjection, SurvivesPathsThatLetNothingThrough) {
  const MaterialPath paths[] = {{XRayMaterial::kIron, at::full({1}, 1000.0, at::kFloat)}};
  const at::Tensor p = polychromatic_line_integrals(paths, tube_spectrum(80.0, 1.0));
  EXPECT_TRUE(at::isfinite(p).item<bool>());
  EXPECT_GT(p.item<double>(), 1000.0);
}

TEST(PolychromaticProjection, HasTheGradientOfFiniteDifferences) {
  const XRaySpectrum spectrum = tube_spectrum(90.0, 1.0);
  const auto measured = [&](const at::Tensor& length) {
    const MaterialPath paths[] = {{XRayMaterial::kTitanium, length}};
    return corrected_for_water(polychromatic_line_integrals(paths, spectrum), spectrum, 60.0);
  };
  const at::Tensor length = at::tensor({0.3, 0.9, 1.7}, at::kDouble).requires_grad_();
  measured(length).sum().backward();
  const at::Tensor step = at::full({3}, 1e-7, at::kDouble);
  const at::Tensor plain = length.detach();
  EXPECT_TRUE(near(length.grad(), (measured(plain + step) - measured(plain - step)) / 2e-7, 1e-5));
}

TEST(PolychromaticProjection, RefusesPathsOfDifferentShapes) {
  const MaterialPath paths[] = {{XRayMaterial::kWater, at::ones({3})},
                                {XRayMaterial::kBone, at::ones({4})}};
  EXPECT_THROW(polychromatic_line_integrals(paths, XRaySpectrum::monochromatic(60.0)), Error);
  EXPECT_THROW(polychromatic_line_integrals({}, XRaySpectrum::monochromatic(60.0)), Error);
}

TEST(CorrectedForWater, MakesWaterProportionalToItsPath) {
  const XRaySpectrum spectrum = tube_spectrum(120.0, 3.0);
  const at::Tensor water = lengths(35.0, 71);  // beyond the table's 30 cm too
  const MaterialPath paths[] = {{XRayMaterial::kWater, water}};
  const at::Tensor p = polychromatic_line_integrals(paths, spectrum);
  const at::Tensor corrected = corrected_for_water(p, spectrum, 30.0);
  const double mean = mean_attenuation_per_cm(XRayMaterial::kWater, spectrum);
  EXPECT_TRUE(near(corrected.narrow(0, 0, 61), water.narrow(0, 0, 61) * mean, 1e-4));
  EXPECT_TRUE(near(corrected, water * mean, 0.05));
  EXPECT_FALSE(near(p, water * mean, 0.3));
}

TEST(PhotonNoise, HasTheVarianceOfPoissonCounts) {
  const double photons = 2e4;
  const at::Tensor p = at::full({200, 500}, 1.5, at::kFloat);
  const at::Tensor noisy = with_photon_noise(p, {photons, 0.0}, RandomStream(3)).to(at::kDouble);
  const double expected = std::exp(1.5) / photons;
  EXPECT_NEAR(noisy.mean().item<double>(), 1.5 + expected / 2.0, 4e-4);
  EXPECT_NEAR(noisy.var().item<double>() / expected, 1.0, 0.03);
  const double read_out = 30.0;
  const double both = expected + read_out * read_out / std::pow(photons * std::exp(-1.5), 2);
  const at::Tensor noisier = with_photon_noise(p, {photons, read_out}, RandomStream(4));
  EXPECT_NEAR(noisier.to(at::kDouble).var().item<double>() / both, 1.0, 0.03);
}

TEST(PhotonNoise, GivesTheSameForAnyNumberOfThreads) {
  const at::Tensor p = at::linspace(0.0, 8.0, 3 * 40 * 60, at::kFloat).view({3, 40, 60});
  const int threads = num_threads();
  set_num_threads(1);
  const at::Tensor one = with_photon_noise(p, {1e3, 5.0}, RandomStream(5));
  set_num_threads(4);
  const at::Tensor four = with_photon_noise(p, {1e3, 5.0}, RandomStream(5));
  set_num_threads(threads);
  EXPECT_TRUE(at::equal(one, four));
}

TEST(PhotonNoise, CountsAtLeastOne) {
  const at::Tensor p = at::full({64}, 50.0, at::kFloat);
  EXPECT_TRUE(near(with_photon_noise(p, {1e4, 0.0}, RandomStream(6)),
                   at::full({64}, std::log(1e4), at::kFloat),
                   1e-5));
  EXPECT_THROW(with_photon_noise(p, {0.0, 0.0}, RandomStream(6)), Error);
}

TEST(GainErrors, AreTheSameInEveryProjection) {
  const at::Tensor p = at::rand({2, 3, 7, 40}, at::kDouble);
  const at::Tensor error = with_gain_errors(p, 0.02, RandomStream(7)) - p;
  EXPECT_TRUE(near(error, error.narrow(0, 0, 1).narrow(2, 0, 1).expand({2, 3, 7, 40}), 1e-12));
  EXPECT_NEAR(error.narrow(0, 0, 1).narrow(2, 0, 1).std().item<double>(), 0.02, 0.004);
  EXPECT_THROW(with_gain_errors(at::ones({4, 4}), 0.1, RandomStream(7)), Error);
}

}  // namespace
}  // namespace triptych
