// SPDX-License-Identifier: Apache-2.0
#include "framework/core/file.h"
#include "framework/image/io.h"
#include "framework/ops/projector.h"

#include "tests/app/program.h"
#include "tests/support/scan_files.h"

#include <cmath>
#include <limits>

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {
namespace fs = std::filesystem;
using testing::fresh_folder;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::run_program;
using testing::ScanFile;

constexpr std::int64_t kAngles = 120;
constexpr std::int64_t kRows = 6;
constexpr std::int64_t kColumns = 64;
constexpr double kPixelMm = 0.01;
constexpr double kCentre = 29.25;

/// Slices of a disc of 8 /cm off the middle with a hole, [D, H, W]; the hole grows with the slice.
at::Tensor phantom() {
  const auto axis = [](double offset) {
    return at::arange(kColumns, at::kFloat).sub_(0.5 * (kColumns - 1) + offset);
  };
  const auto disc = [&](double row, double column, double radius) {
    return (axis(row).square().unsqueeze(1) + axis(column).square().unsqueeze(0))
        .lt(radius * radius)
        .to(at::kFloat);
  };
  std::vector<at::Tensor> slices;
  for (std::int64_t d = 0; d < kRows; ++d)
    slices.push_back(8.0 * disc(2.0, -3.0, 18.0) -
                     6.0 * disc(-4.0, 3.0, 3.0 + 0.5 * static_cast<double>(d)));
  return at::stack(slices);
}

/// Counts [A, D, W] of the phantom: a beam of 20000 that differs between columns, over darks of
/// 100.
at::Tensor beam() {
  at::manual_seed(7);
  return 20000.0 * (1.0 + 0.1 * at::rand({1, 1, kColumns}));
}
at::Tensor counts() {
  ScanGeometry scan;
  for (std::int64_t i = 0; i < kAngles; ++i)
    scan.angles_rad.push_back(M_PI * static_cast<double>(i) / kAngles);
  scan.column_spacing_mm = kPixelMm;
  scan.row_spacing_mm = kPixelMm;
  scan.centre_column = kCentre;
  const at::Tensor lines =
      project(phantom(), scan, kColumns, SliceGrid::centred(kColumns, kColumns, kPixelMm));
  return lines.neg().exp().transpose(0, 1) * beam() + 100.0;
}
at::Tensor flats() { return beam().expand({3, kRows, kColumns}) + 100.0; }
at::Tensor darks() { return at::full({2, kRows, kColumns}, 100.0); }
at::Tensor angles() { return at::arange(kAngles, at::kDouble).mul_(180.0 / kAngles); }

class Reconstruct : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = fresh_folder("reconstruct");
    write_scan("scan.h5", counts(), flats());
  }
  static void write_scan(const std::string& name,
                         const at::Tensor& data,
                         const at::Tensor& white,
                         bool with_angles = true) {
    ScanFile file((folder_ / name).string());
    file.dataset("/exchange/data", data);
    file.dataset("/exchange/data_white", white);
    file.dataset("/exchange/data_dark", darks());
    if (with_angles) file.dataset("/exchange/theta", angles());
  }
  static testing::Finished reconstruct(std::vector<std::string> words) {
    words.insert(words.begin(), "reconstruct");
    return run_program(words, folder_);
  }
  static std::string failure(const std::vector<std::string>& words, int code) {
    const auto finished = reconstruct(words);
    EXPECT_EQ(finished.code, code) << finished.err;
    const auto error = finished.err.find("error[");
    return error == std::string::npos ? finished.err : finished.err.substr(error);
  }
  static Volume volume(const std::string& name) { return read_volume((folder_ / name).string()); }
  /// Root of the mean squared difference within the disc, relative to its 8 /cm.
  static double relative_error(const at::Tensor& slices, const at::Tensor& expected) {
    return (slices - expected).square().mean().sqrt().item<double>() / 8.0;
  }
  static fs::path folder_;
};
fs::path Reconstruct::folder_;

TEST_F(Reconstruct, GivesTheObjectInItsUnitAndPlace) {
  const auto finished =
      reconstruct({"input.projections=scan.h5", "output=volume.h5", "pixel_size_mm=0.01"});
  ASSERT_EQ(finished.code, 0) << finished.err;
  EXPECT_THAT(finished.err, HasSubstr("dxchange, 120 projections of 64 x 6 pixels"));
  const Volume got = volume("volume.h5");
  EXPECT_EQ(got.geometry.shape, (Index3{kRows, kColumns, kColumns}));
  EXPECT_TRUE(got.geometry.spacing_known);
  EXPECT_TRUE(got.geometry.spacing.isApprox(Eigen::Vector3d::Constant(kPixelMm)));
  EXPECT_TRUE(got.geometry.origin.isApprox(Eigen::Vector3d(-0.315, -0.315, 0.0)));
  EXPECT_LT(relative_error(got.data[0], phantom()), 0.09);
  EXPECT_NEAR(got.data[0][2][45][20].item<double>(), 8.0, 0.4);
  const std::string figures = read_file(folder_ / "volume.h5.quality.json");
  EXPECT_THAT(figures, HasSubstr(fmt::format("\"voxels\": {}", kRows * kColumns * kColumns)));
}

TEST_F(Reconstruct, GivesEqualSlicesWhateverTheMemory) {
  ASSERT_EQ(reconstruct({"input.projections=scan.h5", "output=whole.mha", "centre=29.25"}).code, 0);
  ASSERT_EQ(reconstruct({"input.projections=scan.h5",
                         "output=blocks.tif",
                         "centre=29.25",
                         "memory=1KB",
                         "stripes=none"})
                .code,
            0);
  ASSERT_EQ(reconstruct({"input.projections=scan.h5",
                         "output=part.mha",
                         "centre=29.25",
                         "rows=[2,3]",
                         "threads=1"})
                .code,
            0);
  const Volume whole = volume("whole.mha");
  EXPECT_TRUE(at::equal(volume("blocks.tif").data, whole.data));
  EXPECT_TRUE(at::equal(volume("part.mha").data, whole.data.narrow(1, 2, 2)));
}

TEST_F(Reconstruct, SaysWhenValuesArePerPixel) {
  const auto finished =
      reconstruct({"input.projections=scan.h5", "output=pixels.h5", "centre=29.25"});
  ASSERT_EQ(finished.code, 0) << finished.err;
  EXPECT_THAT(finished.err, HasSubstr("1/pixel"));
  const Volume got = volume("pixels.h5");
  EXPECT_FALSE(got.geometry.spacing_known);
  // 8 / cm over pixels of 0.001 cm.
  EXPECT_LT(relative_error(got.data[0] * 1000.0, phantom()), 0.09);
}

TEST_F(Reconstruct, ReducesRings) {
  at::Tensor dirty = counts();
  for (const std::int64_t column : {14, 23, 37, 48}) dirty.select(2, column).mul_(0.9);
  write_scan("rings.h5", dirty, flats());
  for (const char* stripes : {"none", "sorting"}) {
    const auto finished = reconstruct({"input.projections=rings.h5",
                                       fmt::format("output={}.h5", stripes),
                                       "pixel_size_mm=0.01",
                                       "centre=29.25",
                                       "stripe_window=7",
                                       fmt::format("stripes={}", stripes)});
    ASSERT_EQ(finished.code, 0) << finished.err;
  }
  const double with = relative_error(volume("none.h5").data[0], phantom());
  const double without = relative_error(volume("sorting.h5").data[0], phantom());
  EXPECT_LT(without, 0.5 * with) << with;
}

TEST_F(Reconstruct, IteratesToTheObject) {
  for (const auto& [method, iterations] : {std::pair{"sirt", 60}, std::pair{"tv", 400}}) {
    const auto finished = reconstruct({"input.projections=scan.h5",
                                       fmt::format("output={}.h5", method),
                                       fmt::format("method={}", method),
                                       "pixel_size_mm=0.01",
                                       "centre=29.25",
                                       fmt::format("iterations={}", iterations),
                                       "tv_weight=0.0001",
                                       "rows=[1,1]",
                                       "non_negative=true"});
    ASSERT_EQ(finished.code, 0) << finished.err;
    EXPECT_LT(
        relative_error(volume(fmt::format("{}.h5", method)).data[0], phantom().narrow(0, 1, 1)),
        0.1)
        << method;
  }
}

TEST_F(Reconstruct, ReadsASinogramWithAirBesideTheObject) {
  const at::Tensor sinogram = (counts() - 100.0).select(1, 3);
  const at::Tensor even_beam = sinogram / beam()[0] * 20000.0;
  Volume picture{
      even_beam.to(at::kFloat).t().contiguous().view({1, 1, kColumns, kAngles}), {}, "", {}};
  picture.geometry.shape = {1, kColumns, kAngles};
  picture.geometry.spacing_known = false;
  write_volume((folder_ / "sinogram.tif").string(), picture);
  const auto finished = reconstruct({"input.projections=sinogram.tif",
                                     "output=slice.tif",
                                     "layout=sinogram_transposed",
                                     "angles=[0,178.5]",
                                     "air_margin=4",
                                     "pixel_size_mm=0.01",
                                     "centre=29.25"});
  ASSERT_EQ(finished.code, 0) << finished.err;
  EXPECT_LT(relative_error(volume("slice.tif").data[0], phantom().narrow(0, 3, 1)), 0.09);
}

TEST_F(Reconstruct, RefusesScansThatCannotBeReconstructed) {
  write_scan("no_angles.h5", counts(), flats(), false);
  EXPECT_THAT(failure({"input.projections=no_angles.h5", "output=x.h5"}, 1),
              HasSubstr("error[data]: no_angles.h5: expected an angle for each of the 120 "
                        "projections, got none\n  hint: angles=[0,180]"));
  write_scan(
      "saturated.h5", counts().to(at::kInt), at::full({3, kRows, kColumns}, 65535, at::kInt));
  EXPECT_THAT(failure({"input.projections=saturated.h5", "output=x.h5"}, 1),
              ::testing::AllOf(HasSubstr("100.0 % of the flats' pixels are saturated"),
                               HasSubstr("65535")));
  EXPECT_THAT(failure({"input.projections=scan.h5", "output=x.h5", "saturation=15000"}, 1),
              HasSubstr("expected less than 15000 counts"));
  at::Tensor broken = counts();
  broken[5][3][7] = std::numeric_limits<float>::quiet_NaN();
  write_scan("nan.h5", broken, flats());
  EXPECT_THAT(failure({"input.projections=nan.h5", "output=x.h5"}, 1),
              HasSubstr("projection 5, detector row 3, column 7"));
  write_scan("exchanged.h5", counts(), darks() * 0.5);
  EXPECT_THAT(failure({"input.projections=exchanged.h5", "output=x.h5"}, 1),
              HasSubstr("expected flats brighter than darks"));
  EXPECT_FALSE(fs::exists(folder_ / "x.h5"));
}

TEST_F(Reconstruct, RefusesKeysThatDoNotFit) {
  const auto with = [&](std::vector<std::string> words, int code) {
    words.insert(words.begin(), {"input.projections=scan.h5", "output=x.h5"});
    return failure(words, code);
  };
  EXPECT_THAT(with({"method=learned"}, 2), HasSubstr("expects a run with method=learned"));
  EXPECT_THAT(with({"metal=li"}, 2), HasSubstr("expects input.metal="));
  EXPECT_THAT(with({"beam=fan_flat"}, 2), HasSubstr("source_to_axis_mm"));
  EXPECT_THAT(with({"views=[0,50,0]"}, 2), HasSubstr("step from 1"));
  EXPECT_THAT(with({"views=[0,120]"}, 2), HasSubstr("within 0 to 119"));
  EXPECT_THAT(with({"views=[-3,10]"}, 2), HasSubstr("expects numbers from 0"));
  EXPECT_THAT(with({"angles=[0,nan]"}, 2), HasSubstr("expects [first, last] in degrees"));
  EXPECT_THAT(with({"centre=nan"}, 2), HasSubstr("expects auto, pairs, fourier or a column"));
  EXPECT_THAT(with({"columns=[10,12]"}, 1), HasSubstr("at least 16 detector columns, got 3"));
  EXPECT_THAT(with({"pad=641"}, 2), HasSubstr("at most 10 times the 64 columns"));
  EXPECT_THAT(with({"phase.energy_kev=20"}, 2), HasSubstr("expects phase.delta_beta"));
  EXPECT_THAT(with({"beam=fan_flat", "source_to_axis_mm=50", "source_to_detector_mm=90"}, 1),
              HasSubstr("a fan beam needs the pixel size"));
  const std::string format = failure({"input.projections=nowhere.h5", "output=x.xyz"}, 1);
  EXPECT_THAT(format, HasSubstr("unknown image format"));
  EXPECT_THAT(failure({"input.projections=nowhere.h5", "output=x.h5"}, 1),
              HasSubstr("nowhere.h5: no such file"));
  EXPECT_THAT(with({"views_between=3"}, 2), HasSubstr("method=sirt or method=tv"));
  EXPECT_THAT(with({"run=outputs/x"}, 2), HasSubstr("uses no trained run"));
  EXPECT_THAT(with({"centre=middle"}, 2), HasSubstr("expects auto, pairs, fourier or a column"));
  EXPECT_THAT(with({"centre=70"}, 2), HasSubstr("detector column from 0 to 63"));
  EXPECT_THAT(with({"rows=[4,6]"}, 2), HasSubstr("within 0 to 5"));
  EXPECT_THAT(with({"angles=[0,90,180]"}, 2), HasSubstr("expects [first, last] in degrees"));
  EXPECT_THAT(with({"stripe_window=8"}, 2), HasSubstr("odd"));
  EXPECT_THAT(with({"phase.delta_beta=100"}, 2), HasSubstr("phase.energy_kev"));
  EXPECT_THAT(with({"phase.delta_beta=100", "phase.energy_kev=20", "phase.distance_mm=50"}, 1),
              HasSubstr("pixel_size_mm"));
  EXPECT_THAT(with({"centre=pairs"}, 1), HasSubstr("180 degrees apart"));
}

TEST_F(Reconstruct, WarnsOfFlatsThatDoNotFitAndOfMissingViews) {
  const auto warned = [](const std::string& scan, const std::string& word) {
    const auto finished =
        reconstruct({"input.projections=" + scan, "output=doubtful.h5", "centre=29.25", word});
    EXPECT_EQ(finished.code, 0) << finished.err;
    return finished.err;
  };
  EXPECT_THAT(warned("scan.h5", "pad=0"), Not(HasSubstr("without")));
  EXPECT_THAT(warned("scan.h5", "views=[0,29]"),
              HasSubstr("136 of 180 degrees are without a view"));
  write_scan("short_flats.h5", counts(), (flats() - 100.0) * 0.5 + 100.0);
  EXPECT_THAT(warned("short_flats.h5", "pad=0"), HasSubstr("a fifth and more above the flats"));
  write_scan("dark.h5", at::full({kAngles, kRows, kColumns}, 100.0), flats());
  EXPECT_THAT(warned("dark.h5", "pad=0"), HasSubstr("100 % of the values are without counts"));
}

TEST_F(Reconstruct, NeverWritesAmongTheProjections) {
  const fs::path pictures = folder_ / "pictures";
  fs::create_directories(pictures);
  for (int view = 0; view < 4; ++view) {
    Volume picture{at::full({1, 1, 4, 32}, 0.5), {}, "", {}};
    picture.geometry.shape = {1, 4, 32};
    write_volume((pictures / fmt::format("view_{}.tif", view)).string(), picture);
  }
  const std::string before = read_file(pictures / "view_1.tif");
  for (const char* output : {"pictures/view_1.tif", "pictures/slices.tif"}) {
    EXPECT_THAT(failure({"input.projections=pictures",
                         std::string("output=") + output,
                         "values=transmission",
                         "angles=[0,135]",
                         "centre=15.5"},
                        2),
                HasSubstr("lies among the pictures that input.projections reads"));
  }
  EXPECT_EQ(read_file(pictures / "view_1.tif"), before);
  EXPECT_FALSE(fs::exists(pictures / "slices.tif"));
  EXPECT_THAT(failure({"input.projections=scan.h5:/exchange/data",
                       "output=scan.h5",
                       "values=line_integrals",
                       "angles=[0,178.5]"},
                      2),
              HasSubstr("it would be lost"));
}

std::string real(const std::string& name) {
  return std::string(TRIPTYCH_SOURCE_DIR) + "/../shared/data/" + name;
}

TEST_F(Reconstruct, FindsTheAxisOfTheToothAndOfTheNeutronScan) {
  if (!fs::exists(real("tomo_tooth/tooth.h5"))) GTEST_SKIP() << "no shared data beside the project";
  const auto axis = [](const std::string& log) {
    const std::string words = "rotation axis at detector column ";
    const auto at = log.find(words);
    return at == std::string::npos ? -1.0 : std::stod(log.substr(at + words.size()));
  };
  const auto tooth =
      reconstruct({"input.projections=" + real("tomo_tooth/tooth.h5"), "output=tooth.h5"});
  ASSERT_EQ(tooth.code, 0) << tooth.err;
  EXPECT_NEAR(axis(tooth.err), 296.0, 1.0);
  const auto neutrons = reconstruct(
      {"input.projections=" + real("tomo_neutron_sinogram/sinogram_360_neutron_image.tif"),
       "output=neutrons.tif",
       "angles=[0,360]",
       "air_margin=10",
       "stripes=sorting"});
  ASSERT_EQ(neutrons.code, 0) << neutrons.err;
  EXPECT_NEAR(axis(neutrons.err), 245.0, 1.0);
  EXPECT_THAT(neutrons.err, HasSubstr("interpolated"));
}

}  // namespace
}  // namespace triptych
