// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/ct_scan.h"

#include "framework/core/error.h"
#include "framework/core/parallel.h"

#include "tests/support/tensor_matchers.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {

constexpr std::int64_t kEdge = 96;
constexpr double kWater = 0.2059;

SliceGrid grid() { return SliceGrid::centred(kEdge, kEdge, 2.0); }

at::Tensor distance_from(double y, double x) {
  const at::Tensor axis = at::arange(kEdge, at::kFloat);
  return ((axis.view({-1, 1}) - y).square() + (axis.view({1, -1}) - x).square()).sqrt();
}

at::Tensor disc(double y, double x, double radius) {
  return (radius - distance_from(y, x) + 0.5).clamp(0.0, 1.0).unsqueeze(0);
}

ScannedObject water_disc() { return {disc(47.5, 47.5, 36.0) * kWater, {}}; }

at::Tensor scanned(const ScannedObject& object, const CtScan& scan, std::uint64_t seed = 1) {
  return simulate_ct_scan(object, grid(), scan, RandomStream(seed));
}

double mean_within(const at::Tensor& slices, double y, double x, double radius) {
  return slices[0].masked_select(distance_from(y, x) <= radius).mean().item<double>();
}

double rms(const at::Tensor& difference) {
  return difference.square().mean().sqrt().item<double>();
}

TEST(CtScan, WithoutErrorsGivesTheObjectBack) {
  const ScannedObject object = water_disc();
  const at::Tensor image = scanned(object, {});
  EXPECT_NEAR(mean_within(image, 47.5, 47.5, 20.0), kWater, 0.002);
  EXPECT_LT(rms(image - object.attenuation), 0.06 * kWater);
}

TEST(CtScan, FewViewsAndALimitedAngleCostMoreThanAll) {
  const ScannedObject object = water_disc();
  const double all = rms(scanned(object, {}) - object.attenuation);
  EXPECT_GT(rms(scanned(object, {.views = 20}) - object.attenuation), 2.0 * all);
  EXPECT_GT(rms(scanned(object, {.arc_deg = 100.0}) - object.attenuation), 2.0 * all);
}

TEST(CtScan, NoiseFallsWithTheRootOfTheDose) {
  const at::Tensor clean = scanned(water_disc(), {});
  const double low = rms(scanned(water_disc(), {.photons = 1e4}) - clean);
  const double high = rms(scanned(water_disc(), {.photons = 1.6e5}) - clean);
  EXPECT_NEAR(low / high, 4.0, 0.4);
}

TEST(CtScan, CorrectsWaterAndHardensBone) {
  const CtScan polychromatic{.peak_kv = 100.0};
  const at::Tensor water = scanned(water_disc(), polychromatic);
  EXPECT_NEAR(mean_within(water, 47.5, 47.5, 6.0), kWater, 0.01 * kWater);
  EXPECT_NEAR(mean_within(water, 47.5, 75.0, 4.0), kWater, 0.02 * kWater);
  const double bone_mu = attenuation_per_cm(XRayMaterial::kBone, CtScan::kReferenceKev);
  const ScannedObject bone{disc(47.5, 47.5, 20.0) * bone_mu, {}};
  const at::Tensor cupped = scanned(bone, polychromatic);
  const at::Tensor flat = scanned(bone, {});
  const auto cup = [](const at::Tensor& image) {
    return mean_within(image, 47.5, 62.0, 3.0) - mean_within(image, 47.5, 47.5, 3.0);
  };
  EXPECT_GT(cup(cupped), 0.03 * bone_mu);
  EXPECT_LT(std::abs(cup(flat)), 0.01 * bone_mu);
}

TEST(CtScan, MetalDarkensTheSpaceBetweenTwoPieces) {
  ScannedObject object = water_disc();
  object.metal = at::max(disc(47.5, 32.0, 3.0), disc(47.5, 63.0, 3.0));
  const CtScan scan{.peak_kv = 120.0, .metal = XRayMaterial::kIron};
  const at::Tensor image = scanned(object, scan);
  EXPECT_LT(mean_within(image, 47.5, 47.5, 3.0), 0.8 * kWater);
  EXPECT_GT(mean_within(image, 47.5, 32.0, 1.5), 5.0 * kWater);
}

TEST(CtScan, GainErrorsMakeRingsAboutTheAxis) {
  const CtScan full{.arc_deg = 360.0};
  CtScan faulty = full;
  faulty.gain_deviation = 0.01;
  const at::Tensor rings = scanned(water_disc(), faulty) - scanned(water_disc(), full);
  // Half a scan would make half rings. Turning by half a circle maps whole ones onto themselves.
  const at::Tensor turned = at::rot90(rings, 2, {1, 2});
  const at::Tensor inside = disc(47.5, 47.5, 30.0);
  EXPECT_LT(rms((rings - turned) * inside), 0.2 * rms(rings * inside));
}

TEST(CtScan, MotionAndTruncationChangeTheImage) {
  const at::Tensor clean = scanned(water_disc(), {});
  EXPECT_GT(rms(scanned(water_disc(), {.motion_mm = 6.0}) - clean), 0.05 * kWater);
  const at::Tensor cut = scanned(water_disc(), {.detector_share = 0.35});
  EXPECT_GT(rms(cut - clean), 0.1 * kWater);
  EXPECT_TRUE(at::isfinite(cut).all().item<bool>());
}

TEST(CtScan, GivesTheSameForAnyNumberOfThreads) {
  const CtScan scan{
      .views = 60, .peak_kv = 80.0, .photons = 1e4, .gain_deviation = 0.01, .motion_mm = 1.0};
  const int threads = num_threads();
  set_num_threads(1);
  const at::Tensor one = scanned(water_disc(), scan);
  set_num_threads(4);
  const at::Tensor four = scanned(water_disc(), scan);
  set_num_threads(threads);
  EXPECT_TRUE(at::equal(one, four));
  EXPECT_FALSE(at::equal(one, scanned(water_disc(), scan, /*seed=*/2)));
}

TEST(CtScan, RefusesImpossibleSettings) {
  EXPECT_THROW(scanned(water_disc(), {.views = -1}), Error);
  EXPECT_THROW(scanned(water_disc(), {.arc_deg = 0.0}), Error);
  EXPECT_THROW(scanned(water_disc(), {.detector_share = 1.5}), Error);
  ScannedObject object = water_disc();
  object.metal = at::zeros({1, 3, 3});
  EXPECT_THROW(scanned(object, {}), Error);
}

TEST(CtScan, OfAFanGivesTheObjectBack) {
  const ScannedObject object = water_disc();
  for (const auto beam : {ScanGeometry::Beam::kFanFlat, ScanGeometry::Beam::kFanCurved}) {
    const CtScan fan{.beam = beam,
                     .source_to_axis_mm = 400.0,
                     .source_to_detector_mm = 800.0,
                     .views = 300,
                     .arc_deg = 360.0};
    const at::Tensor image = scanned(object, fan);
    EXPECT_NEAR(mean_within(image, 47.5, 47.5, 20.0), kWater, 0.002);
    EXPECT_LT(rms(image - object.attenuation), 0.06 * kWater);
  }
}

TEST(CtScan, ProjectionsAreThoseOfTheStatedDetector) {
  const CtScan scan{.columns = 101, .column_spacing_mm = 3.0, .axis_shift = 4.0, .views = 40};
  const SimulatedScan measured = simulate_projections(water_disc(), grid(), scan, RandomStream(1));
  EXPECT_EQ(measured.projections.sizes(), (at::IntArrayRef{1, 40, 101}));
  EXPECT_EQ(measured.geometry.centre_column, 54.0);
  EXPECT_EQ(measured.geometry.column_spacing_mm, 3.0);
  // The longest ray passes the disc of 72 pixels of 2 mm through its middle.
  EXPECT_NEAR(measured.projections.max().item<double>(), 14.4 * kWater, 0.02);
}

TEST(CtScan, RefusesAFanWithoutDistances) {
  EXPECT_THROW(scanned(water_disc(), {.beam = ScanGeometry::Beam::kFanFlat}), Error);
}

}  // namespace
}  // namespace triptych
