// SPDX-License-Identifier: Apache-2.0
#include "framework/image/raw_scan.h"

#include "framework/image/io.h"

#include "tests/image/sample_volumes.h"
#include "tests/support/scan_files.h"

#include <limits>
#include <numbers>

namespace triptych {
namespace {

using testing::ScanFile;
using Frames = RawScan::Frames;
using ::testing::HasSubstr;

constexpr double kPi = std::numbers::pi;

/// 4 projections of 3 rows and 5 columns that all differ.
at::Tensor counts() { return at::arange(60, at::kFloat).add_(100.0).view({4, 3, 5}); }

void write_exchange(const std::string& path, const char* angle_unit = "degrees") {
  ScanFile file(path);
  file.dataset("/exchange/data", counts());
  file.dataset("/exchange/data_white", at::full({2, 3, 5}, 500.0));
  file.dataset("/exchange/data_dark", at::full({3, 3, 5}, 7.0));
  file.dataset("/exchange/theta", at::tensor({0.0, 45.0, 90.0, 135.0}, at::kDouble));
  file.attribute("/exchange/theta", "units", angle_unit);
}

TEST(RawScan, ReadsDataExchange) {
  const TemporaryFolder folder;
  write_exchange(folder / "scan.h5");
  const auto scan = open_raw_scan(folder / "scan.h5");
  const RawScanHeader& header = scan->header();
  EXPECT_EQ(header.format, "dxchange");
  EXPECT_EQ(header.projections, 4);
  EXPECT_EQ(header.rows, 3);
  EXPECT_EQ(header.columns, 5);
  EXPECT_EQ(header.flats, 2);
  EXPECT_EQ(header.darks, 3);
  EXPECT_NEAR(header.angles_rad[3], 0.75 * kPi, 1e-12);
  EXPECT_FALSE(header.pixel_size_mm.has_value());
  EXPECT_TRUE(scan->read(Frames::kProjections, 1, 2).equal(counts().narrow(1, 1, 2)));
  EXPECT_TRUE(scan->read(Frames::kDarks, 0, 1).equal(at::full({3, 1, 5}, 7.0)));
}

TEST(RawScan, HonoursUnitsOfAnglesAndPixelSizes) {
  const TemporaryFolder folder;
  {
    ScanFile file(folder / "scan.h5");
    file.dataset("/exchange/data", counts());
    file.dataset("/exchange/theta", at::tensor({0.0, 0.5, 1.0, 1.5}, at::kDouble));
    file.attribute("/exchange/theta", "units", "rad");
    const std::string pixel = "/measurement/instrument/detector/actual_pixel_size_x";
    file.dataset(pixel, at::tensor({1.3}, at::kDouble));
    file.attribute(pixel, "units", "um");
  }
  const auto scan = open_raw_scan(folder / "scan.h5");
  EXPECT_DOUBLE_EQ(scan->header().angles_rad[3], 1.5);
  EXPECT_NEAR(scan->header().pixel_size_mm.value(), 1.3e-3, 1e-12);
  write_exchange(folder / "turns.h5", "turns");
  EXPECT_THAT(message_of([&] { open_raw_scan(folder / "turns.h5"); }),
              ::testing::AllOf(HasSubstr("data: "), HasSubstr("'turns'"), HasSubstr("degrees")));
}

TEST(RawScan, SortsTheFramesOfNXtomoByTheirKey) {
  const TemporaryFolder folder;
  const at::Tensor frames = at::arange(8 * 2 * 3, at::kFloat).view({8, 2, 3});
  {
    ScanFile file(folder / "scan.nxs");
    file.dataset("/scan7/camera/detector/data", frames.to(at::kInt));
    file.dataset("/scan7/camera/detector/image_key", at::tensor({2, 1, 0, 0, 3, 1, 0, 2}));
    file.dataset("/scan7/camera/detector/x_pixel_size", at::tensor({2e-6}, at::kDouble));
    file.attribute("/scan7/camera/detector/x_pixel_size", "units", "m");
    file.dataset("/scan7/tooth/rotation_angle",
                 at::tensor({0.0, 0.0, 10.0, 20.0, 30.0, 0.0, 40.0, 0.0}, at::kDouble));
    file.attribute("/scan7", "NX_class", "NXentry");
    file.attribute("/scan7/camera", "NX_class", "NXinstrument");
    file.attribute("/scan7/camera/detector", "NX_class", "NXdetector");
    file.attribute("/scan7/tooth", "NX_class", "NXsample");
  }
  const auto scan = open_raw_scan(folder / "scan.nxs");
  const RawScanHeader& header = scan->header();
  EXPECT_EQ(header.format, "nxtomo");
  EXPECT_EQ(header.projections, 3);
  EXPECT_NEAR(header.pixel_size_mm.value(), 2e-3, 1e-12);
  EXPECT_NEAR(header.angles_rad[2], 40.0 / 180.0 * kPi, 1e-12);
  const auto frame = [&](std::vector<std::int64_t> index) {
    return frames.index_select(0, at::tensor(index)).narrow(1, 1, 1);
  };
  EXPECT_TRUE(scan->read(Frames::kProjections, 1, 1).equal(frame({2, 3, 6})));
  EXPECT_TRUE(scan->read(Frames::kFlats, 1, 1).equal(frame({1, 5})));
  EXPECT_TRUE(scan->read(Frames::kDarks, 1, 1).equal(frame({0, 7})));
}

TEST(RawScan, TakesNamedDatasetsAndAxesInTheOtherOrder) {
  const TemporaryFolder folder;
  {
    ScanFile file(folder / "scan.h5");
    file.dataset("/sinograms", counts().transpose(0, 1).contiguous());
    file.attribute("/sinograms", "axes", "y:theta:x");
    file.dataset("/beam", at::full({3, 5}, 400.0));
  }
  RawScanOptions options;
  options.datasets.data = "/sinograms";
  options.datasets.flats = "beam";
  const auto scan = open_raw_scan(folder / "scan.h5", options);
  EXPECT_EQ(scan->header().projections, 4);
  EXPECT_EQ(scan->header().flats, 1);
  EXPECT_TRUE(scan->read(Frames::kProjections, 2, 1).equal(counts().narrow(1, 2, 1)));
  EXPECT_TRUE(scan->read(Frames::kFlats, 2, 1).equal(at::full({1, 1, 5}, 400.0)));
  options.datasets.flats = "/beams";
  EXPECT_THAT(message_of([&] { open_raw_scan(folder / "scan.h5", options); }),
              HasSubstr("datasets.flats: no dataset '/beams'"));
  EXPECT_THAT(message_of([&] { open_raw_scan(folder / "scan.h5"); }),
              HasSubstr("/beam [3, 5], /sinograms [3, 4, 5]"));
}

TEST(RawScan, RefusesAnglesThatAreNotOneAProjection) {
  const TemporaryFolder folder;
  {
    ScanFile file(folder / "scan.h5");
    file.dataset("/exchange/data", counts());
    file.dataset("/exchange/theta", at::zeros({5}, at::kDouble));
  }
  EXPECT_THAT(message_of([&] { open_raw_scan(folder / "scan.h5"); }),
              HasSubstr("/exchange/theta: expected 4 values, one for each frame"));
  RawScanOptions options;
  options.angles_stated = true;
  EXPECT_TRUE(open_raw_scan(folder / "scan.h5", options)->header().angles_rad.empty());
}

TEST(RawScan, NamesTheFirstValueThatIsNotFinite) {
  const TemporaryFolder folder;
  at::Tensor values = counts();
  values[2][1][4] = std::numeric_limits<float>::quiet_NaN();
  {
    ScanFile file(folder / "scan.h5");
    file.dataset("/tomo", values);
  }
  const auto scan = open_raw_scan(folder / "scan.h5");
  EXPECT_EQ(scan->header().format, "plain");
  EXPECT_TRUE(scan->read(Frames::kProjections, 0, 1).equal(counts().narrow(1, 0, 1)));
  EXPECT_THAT(message_of([&] { scan->read(Frames::kProjections, 1, 2); }),
              HasSubstr("projection 2, detector row 1, column 4"));
}

TEST(RawScan, RefusesFlatsOfAnotherDetector) {
  const TemporaryFolder folder;
  {
    ScanFile file(folder / "scan.h5");
    file.dataset("/tomo", counts());
    file.dataset("/flat", at::zeros({2, 3, 6}));
  }
  EXPECT_THAT(message_of([&] { open_raw_scan(folder / "scan.h5"); }),
              HasSubstr("geometry: " + (folder / "scan.h5") +
                        ":/flat: expected frames of 3 rows and 5 columns"));
}

/// One picture [H, W] of 16 bits.
void write_picture(const std::string& path, const at::Tensor& picture) {
  Volume volume{picture.to(at::kShort).unsqueeze(0).unsqueeze(0), {}, "", {}};
  volume.geometry.shape = {1, picture.size(0), picture.size(1)};
  volume.geometry.spacing_known = false;
  write_volume(path, volume);
}

TEST(RawScan, ReadsAFolderOfProjectionsFlatsAndDarks) {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "scan");
  for (int i = 0; i < 4; ++i)
    write_picture(folder / fmt::format("scan/bone_{}.tif", 7 + i), counts()[i]);
  write_picture(folder / "scan/bone_ref_0.tif", at::full({3, 5}, 500));
  write_picture(folder / "scan/bone_dar_0.tif", at::full({3, 5}, 9));
  const auto scan = open_raw_scan(folder / "scan");
  EXPECT_EQ(scan->header().projections, 4);
  EXPECT_EQ(scan->header().flats, 1);
  EXPECT_TRUE(scan->header().angles_rad.empty());
  EXPECT_TRUE(scan->read(Frames::kProjections, 1, 2).equal(counts().narrow(1, 1, 2)));
  EXPECT_TRUE(scan->read(Frames::kDarks, 2, 1).equal(at::full({1, 1, 5}, 9.0)));
  write_picture(folder / "scan/bone_11.tif", at::zeros({3, 6}));
  EXPECT_THAT(message_of([&] { open_raw_scan(folder / "scan"); }),
              HasSubstr("bone_11.tif: expected one picture of 5x3"));
}

TEST(RawScan, ReadsASinogramEitherWayRound) {
  const TemporaryFolder folder;
  const at::Tensor sinogram = at::arange(24).view({4, 6});  // 4 angles
  write_picture(folder / "sinogram.tif", sinogram);
  const auto scan = open_raw_scan(folder / "sinogram.tif");
  EXPECT_EQ(scan->header().projections, 4);
  EXPECT_EQ(scan->header().rows, 1);
  EXPECT_TRUE(scan->read(Frames::kProjections, 0, 1).equal(sinogram.to(at::kFloat).unsqueeze(1)));
  RawScanOptions options;
  options.layout = "sinogram_transposed";
  const auto turned = open_raw_scan(folder / "sinogram.tif", options);
  EXPECT_EQ(turned->header().projections, 6);
  EXPECT_TRUE(
      turned->read(Frames::kProjections, 0, 1).equal(sinogram.t().to(at::kFloat).unsqueeze(1)));
}

}  // namespace
}  // namespace triptych
