// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/tissue_scan.h"

#include "framework/core/parallel.h"

#include <cmath>

#include <gtest/gtest.h>

namespace triptych {
namespace {

constexpr std::int64_t kEdge = 96;  // of the fine grid; the scan's is half of it
constexpr double kMagnesium = 0.2570 * 1.740;
constexpr double kBone = 0.3148 * 1.920;
constexpr double kTitanium = 0.7661 * 4.540;

double radius_of(std::int64_t h, std::int64_t w) {
  const double centre = 0.5 * (kEdge - 1);
  return std::hypot(static_cast<double>(h) - centre, static_cast<double>(w) - centre);
}

/// A cylinder along D of `core` within a cylinder of `shell`, radii 16 and 40 fine voxels, in air.
TissueGrid cylinders(Tissue core, Tissue shell) {
  TissueGrid sample;
  sample.geometry.shape = {8, kEdge, kEdge};
  sample.geometry.spacing.setConstant(0.005);
  for (std::int64_t i = 0; i < sample.geometry.voxels(); ++i) {
    const double radius = radius_of(i / kEdge % kEdge, i % kEdge);
    const Tissue tissue = radius < 16.0 ? core : radius < 40.0 ? shell : Tissue::kAir;
    sample.tissue.push_back(static_cast<std::uint8_t>(tissue));
  }
  sample.texture.assign(sample.tissue.size(), 0.0F);
  sample.implant_distance.assign(sample.tissue.size(), 1.0F);
  return sample;
}

LabctScan perfect_scanner() {
  LabctScan scan;
  scan.photons = 0.0;
  scan.peak_kv = 0.0;
  return scan;
}

ScalarGrid scanned(const TissueGrid& sample, const LabctScan& scan) {
  ScalarGrid image = labct_image(sample, scan);
  corrupt_labct(image, sample, scan, RandomStream(1));
  return image;
}

/// Mean over voxels whose distance to the axis lies in [from, to) fine voxels.
double mean_between(const ScalarGrid& image, double from, double to) {
  const auto [planes, rows, columns] = image.geometry.shape;
  double sum = 0.0;
  int count = 0;
  for (std::int64_t i = 0; i < planes * rows * columns; ++i) {
    const double up =
        static_cast<double>(i / columns % rows) - 0.5 * (static_cast<double>(rows) - 1.0);
    const double right =
        static_cast<double>(i % columns) - 0.5 * (static_cast<double>(columns) - 1.0);
    const double radius = 2.0 * std::hypot(up, right);
    if (radius < from || radius >= to) continue;
    sum += image.values[static_cast<std::size_t>(i)];
    ++count;
  }
  return sum / count;
}

double rms_between(const ScalarGrid& a, const ScalarGrid& b) {
  double sum = 0.0;
  for (std::size_t i = 0; i < a.values.size(); ++i)
    sum += std::pow(static_cast<double>(a.values[i]) - static_cast<double>(b.values[i]), 2);
  return std::sqrt(sum / static_cast<double>(a.values.size()));
}

TEST(LabctScan, GreyValuesAreLinearInAttenuation) {
  LabctScan scan;
  const TissueGrid sample = cylinders(Tissue::kResidual, Tissue::kBone);
  EXPECT_NEAR(
      mean_between(labct_image(sample, scan), 0.0, 8.0), 0.02 + 0.78 * kMagnesium / kBone, 1e-5);
  EXPECT_NEAR(mean_between(labct_image(sample, scan), 26.0, 30.0), 0.80, 1e-5);
  scan.metal = "titanium";
  EXPECT_NEAR(
      mean_between(labct_image(sample, scan), 0.0, 8.0), 0.02 + 0.78 * kTitanium / kBone, 1e-4);
}

TEST(LabctScan, APerfectScannerComesCloseToTheCleanImage) {
  for (const double contrast : {1.0, 0.5}) {
    for (const char* metal : {"magnesium", "titanium"}) {
      LabctScan scan = perfect_scanner();
      scan.contrast = contrast;
      scan.metal = metal;
      const TissueGrid sample = cylinders(Tissue::kResidual, Tissue::kSoftTissue);
      const ScalarGrid clean = labct_image(sample, scan);
      const ScalarGrid image = scanned(sample, scan);
      const double range = mean_between(clean, 0.0, 8.0) - mean_between(clean, 50.0, 60.0);
      EXPECT_LT(rms_between(image, clean), 0.03 * range) << metal << ' ' << contrast;
      for (const double from : {0.0, 24.0, 44.0}) {
        EXPECT_NEAR(mean_between(image, from, from + 8.0),
                    mean_between(clean, from, from + 8.0),
                    0.01 * range)
            << metal << ' ' << contrast << ' ' << from;
      }
    }
  }
}

TEST(LabctScan, APolychromaticBeamCupsBone) {
  const TissueGrid sample = cylinders(Tissue::kBone, Tissue::kBone);
  LabctScan scan = perfect_scanner();
  const auto cupping = [&] {
    const ScalarGrid image = scanned(sample, scan);
    return mean_between(image, 26.0, 34.0) - mean_between(image, 0.0, 10.0);
  };
  EXPECT_NEAR(cupping(), 0.0, 0.005);
  scan.peak_kv = 120.0;
  const double filtered = cupping();
  EXPECT_GT(filtered, 0.01);
  scan.aluminium_mm = 1.0;
  EXPECT_GT(cupping(), 1.5 * filtered);
}

TEST(LabctScan, APolychromaticBeamShowsTitaniumFarTooDark) {
  LabctScan scan = perfect_scanner();
  scan.peak_kv = 120.0;
  const TissueGrid sample = cylinders(Tissue::kResidual, Tissue::kSoftTissue);
  const auto shown = [&] {
    return mean_between(scanned(sample, scan), 0.0, 10.0) /
           mean_between(labct_image(sample, scan), 0.0, 10.0);
  };
  EXPECT_NEAR(shown(), 1.0, 0.1);
  scan.metal = "titanium";
  EXPECT_LT(shown(), 0.7);
}

// Counts of rays through air do not depend on lengths; grey values are per length.
TEST(LabctScan, NoiseOfEqualCountsFallsWithTheScannedWidth) {
  const TissueGrid air = cylinders(Tissue::kAir, Tissue::kAir);
  LabctScan scan;
  const double wide = rms_between(scanned(air, scan), labct_image(air, scan));
  scan.scanned_width_mm = 4.0;
  const double narrow = rms_between(scanned(air, scan), labct_image(air, scan));
  EXPECT_NEAR(narrow / wide, 10.0, 1e-3);
  scan.scanned_width_mm = 40.0;
  scan.photons *= 4.0;
  EXPECT_NEAR(wide / rms_between(scanned(air, scan), labct_image(air, scan)), 2.0, 0.1);
}

TEST(LabctScan, DoesNotDependOnTheNumberOfThreads) {
  LabctScan scan;
  scan.gain_deviation = 0.01;
  const TissueGrid sample = cylinders(Tissue::kResidual, Tissue::kBone);
  set_num_threads(1);
  const ScalarGrid one = scanned(sample, scan);
  set_num_threads(3);
  const ScalarGrid three = scanned(sample, scan);
  set_num_threads(1);
  EXPECT_EQ(one.values, three.values);
}

}  // namespace
}  // namespace triptych
