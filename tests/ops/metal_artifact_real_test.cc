// SPDX-License-Identifier: Apache-2.0
// Metal in a real abdominal slice, when the data is there.
#include "framework/image/io.h"
#include "framework/ops/filtered_back_projection.h"
#include "framework/ops/metal_artifact.h"

#include <cmath>
#include <filesystem>
#include <numbers>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {

/// The slice with three inserted metals (DeepLesion; metal simulated with a polychromatic spectrum
/// and noise). The lengths are those of the file's group "geometry", there in cm. In ScanGeometry's
/// terms the views lie at half steps from 90 degrees, and the detector's columns run backwards.
class RealMetal : public ::testing::Test {
 protected:
  static constexpr std::int64_t kViews = 640, kColumns = 641, kEdge = 416;
  static constexpr double kWater = 0.192;

  void SetUp() override {
    if (!std::filesystem::exists(kFile)) GTEST_SKIP() << "no shared data beside the project";
    scan_.beam = ScanGeometry::Beam::kFanFlat;
    for (std::int64_t k = 0; k < kViews; ++k) {
      const double turn = (static_cast<double>(k) + 0.5) / static_cast<double>(kViews);
      scan_.angles_rad.push_back(std::numbers::pi * (0.5 + 2.0 * turn));
    }
    scan_.column_spacing_mm = 434.446 / static_cast<double>(kColumns);
    scan_.centre_column = 0.5 * (kColumns - 1);
    scan_.source_to_axis_mm = 396.923;
    scan_.source_to_detector_mm = 2.0 * 396.923;
    truth_ = read("ground_truth/image");
    metal_ = read("three_small/metal_mask") != 0;
  }

  at::Tensor read(const std::string& dataset) const {
    return read_volume(kFile + ":/" + dataset).data.select(0, 0).to(at::kFloat);
  }

  at::Tensor read_projections(const std::string& dataset) const { return read(dataset).flip(-1); }

  at::Tensor reconstruct(const at::Tensor& projections) const {
    return fbp(projections, scan_, grid_);
  }

  /// Peak: the range of the truth. Metal is left out.
  double psnr_of(const at::Tensor& image) const {
    const double mse =
        (image - truth_).masked_select(metal_.logical_not()).square().mean().item<double>();
    const double range = (truth_.max() - truth_.min()).item<double>();
    return 10.0 * std::log10(range * range / mse);
  }

  const std::string kFile =
      std::string(TRIPTYCH_SOURCE_DIR) + "/../shared/data/ct_metal_pair/pair_p000129.h5";
  ScanGeometry scan_;
  SliceGrid grid_ = SliceGrid::centred(kEdge, kEdge, 0.369231);
  at::Tensor truth_, metal_;
};

TEST_F(RealMetal, IsReducedByInterpolationAndMoreByNmar) {
  const at::Tensor corrupted = read_projections("three_small/sinogram");
  const at::Tensor trace = metal_trace(metal_, scan_, kColumns, grid_);
  const at::Tensor li_image = reconstruct(interpolate_trace(corrupted, trace));
  const at::Tensor prior = nmar_prior(li_image, PriorTissues::of_water(kWater));
  const double none = psnr_of(reconstruct(corrupted));
  const double li = psnr_of(li_image);
  const double normalised = psnr_of(reconstruct(nmar(corrupted, trace, prior, scan_, grid_)));
  const double clean = psnr_of(reconstruct(read_projections("ground_truth/sinogram")));
  fmt::print("PSNR in dB: corrupted {:.2f}, LI {:.2f}, NMAR {:.2f}, without metal {:.2f}\n",
             none,
             li,
             normalised,
             clean);
  // Reached on 2026-11-21: 41.54, 39.93 and 40.41 dB, about 0.3 dB below the figures that came with
  // the data, which were made with another filtered back projection.
  EXPECT_GT(clean, 41.5);
  EXPECT_GT(li, 39.9);
  EXPECT_GT(normalised, 40.4);
  EXPECT_GT(li, none + 8.0);
  EXPECT_GT(normalised, li + 0.3);
}

}  // namespace
}  // namespace triptych
