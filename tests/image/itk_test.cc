// SPDX-License-Identifier: Apache-2.0
// ITK as an independent reader and writer, and small DICOM series written by GDCM.
#include "framework/image/io.h"

#include "tests/image/sample_volumes.h"

#include <Eigen/Dense>  // before ITK, whose own older copy must not mix with it
#include <itkGDCMImageIO.h>
#include <itkImage.h>
#include <itkImageFileReader.h>
#include <itkImageFileWriter.h>
#include <itkImageRegionIterator.h>
#include <itkMetaDataObject.h>
#include <itkMetaImageIO.h>
#include <itkNiftiImageIO.h>
#include <itkNrrdImageIO.h>

namespace triptych {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;
using ShortImage = itk::Image<short, 3>;

itk::ImageIOBase::Pointer io_for(const std::string& name) {
  if (name.find(".nii") != std::string::npos) return itk::NiftiImageIO::New().GetPointer();
  if (name.find(".mh") != std::string::npos) return itk::MetaImageIO::New().GetPointer();
  return itk::NrrdImageIO::New().GetPointer();
}

ShortImage::Pointer itk_image(const Volume& volume) {
  const auto image = ShortImage::New();
  const auto& shape = volume.geometry.shape;
  ShortImage::SizeType size{
      {itk::SizeValueType(shape[2]), itk::SizeValueType(shape[1]), itk::SizeValueType(shape[0])}};
  image->SetRegions(ShortImage::RegionType(size));
  image->Allocate();
  ShortImage::DirectionType direction;
  for (int row = 0; row < 3; ++row) {
    for (int column = 0; column < 3; ++column)
      direction[row][column] = volume.geometry.direction(row, column);
  }
  image->SetDirection(direction);
  image->SetSpacing(volume.geometry.spacing.data());
  image->SetOrigin(volume.geometry.origin.data());
  std::copy_n(
      volume.data.contiguous().data_ptr<short>(), volume.data.numel(), image->GetBufferPointer());
  return image;
}

class ItkAgrees : public ::testing::TestWithParam<const char*> {};

TEST_P(ItkAgrees, OnWhatWeWrite) {
  const TemporaryFolder folder;
  const Volume volume = sample_volume(at::kShort);
  write_volume(folder / GetParam(), volume);
  const auto reader = itk::ImageFileReader<ShortImage>::New();
  reader->SetImageIO(io_for(GetParam()));
  reader->SetFileName(folder / GetParam());
  reader->Update();
  const ShortImage* image = reader->GetOutput();
  for (int z = 0; z < 5; ++z) {
    for (int y = 0; y < 7; ++y) {
      for (int x = 0; x < 9; ++x)
        ASSERT_EQ(image->GetPixel({{x, y, z}}), volume.data[0][z][y][x].item<short>());
    }
  }
  ShortImage::PointType point;
  image->TransformIndexToPhysicalPoint(ShortImage::IndexType{{8, 6, 4}}, point);
  const Eigen::Vector3d expected = volume.geometry.world_from_index({8.0, 6.0, 4.0});
  EXPECT_LE((Eigen::Vector3d(point[0], point[1], point[2]) - expected).norm(), 2e-5);
}

TEST_P(ItkAgrees, OnWhatItWrites) {
  const TemporaryFolder folder;
  const Volume volume = sample_volume(at::kShort);
  for (const bool compressed : {false, true}) {
    const auto writer = itk::ImageFileWriter<ShortImage>::New();
    writer->SetImageIO(io_for(GetParam()));
    writer->SetFileName(folder / GetParam());
    writer->SetInput(itk_image(volume));
    writer->SetUseCompression(compressed);
    writer->Update();
    const Volume back = read_volume(folder / GetParam());
    expect_same_data(back.data, volume.data);
    EXPECT_TRUE(same_grid(back.geometry, volume.geometry, 1e-5));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Formats,
    ItkAgrees,
    ::testing::Values("a.nii", "a.nii.gz", "a.mha", "a.mhd", "a.nrrd", "a.nhdr"),
    [](const auto& parameters) {
      std::string name = parameters.param;
      std::replace(name.begin(), name.end(), '.', '_');
      return name;
    });

/// A slice of 6x5 voxels of 0.5x0.75 mm that GDCM writes as CT with slope 2 and intercept -1024.
void write_dicom(const std::string& path,
                 int number,
                 double z,
                 const std::string& series = "1.2.826.0.1.3680043.2.1125.1") {
  using Slice = itk::Image<short, 2>;
  const auto image = Slice::New();
  image->SetRegions(Slice::RegionType(Slice::SizeType{{6, 5}}));
  image->Allocate();
  for (int i = 0; i < 30; ++i)
    image->GetBufferPointer()[i] = static_cast<short>(-1024 + 2 * (100 * number + i));
  const double spacing[2] = {0.5, 0.75};
  image->SetSpacing(spacing);
  auto& dictionary = image->GetMetaDataDictionary();
  const auto set = [&](const char* tag, const std::string& value) {
    itk::EncapsulateMetaData<std::string>(dictionary, tag, value);
  };
  set("0008|0060", "CT");
  set("0020|000d", "1.2.826.0.1.3680043.2.1125.2");
  set("0020|000e", series);
  set("0020|0013", std::to_string(number));
  set("0020|0032", fmt::format("10\\20\\{}", z));
  set("0020|0037", "1\\0\\0\\0\\1\\0");
  set("0028|1052", "-1024");
  set("0028|1053", "2");
  const auto io = itk::GDCMImageIO::New();
  io->KeepOriginalUIDOn();
  const auto writer = itk::ImageFileWriter<Slice>::New();
  writer->SetImageIO(io);
  writer->SetFileName(path);
  writer->SetInput(image);
  writer->Update();
}

TEST(Dicom, ReadsASeriesByPositionWithRescaledValues) {
  const TemporaryFolder folder;
  // The order of names is not the order in space.
  for (const int number : {0, 1, 2, 3})
    write_dicom(folder / fmt::format("image_{}.dcm", 9 - number), number, -30.0 + 2.5 * number);
  const Volume volume = read_volume(folder.path().string());
  EXPECT_EQ(read_header(folder.path().string()).format, "dicom");
  EXPECT_EQ(volume.geometry.shape, (Index3{4, 5, 6}));
  EXPECT_TRUE(volume.geometry.spacing.isApprox(Eigen::Vector3d(0.5, 0.75, 2.5)));
  EXPECT_TRUE(volume.geometry.origin.isApprox(Eigen::Vector3d(10.0, 20.0, -30.0)));
  EXPECT_EQ(volume.metadata.at("dicom_modality"), "CT");
  EXPECT_EQ(volume.data.scalar_type(), at::kFloat);
  EXPECT_EQ(volume.data[0][3][4][5].item<float>(), -1024.0f + 2.0f * (300 + 29));
  ReadOptions raw;
  raw.apply_rescale = false;
  EXPECT_EQ(read_volume(folder.path().string(), raw).data[0][3][4][5].item<int>(), 329);
  const Volume part = read_region(folder.path().string(), {{1, 2, 3}, {2, 3, 2}});
  EXPECT_TRUE(part.data.equal(volume.data.narrow(1, 1, 2).narrow(2, 2, 3).narrow(3, 3, 2)));
  EXPECT_EQ(read_volume(folder / "image_9.dcm").geometry.shape, (Index3{1, 5, 6}));
}

TEST(Dicom, RefusesMissingSlicesAndTwoSeries) {
  const TemporaryFolder folder;
  for (const int number : {0, 1, 3, 4})
    write_dicom(folder / fmt::format("{}.dcm", number), number, 2.5 * number);
  EXPECT_THAT(
      message_of([&] { read_volume(folder.path().string()); }),
      HasSubstr("slices are not evenly spaced, expected 2.5 mm, got 5 mm between 1.dcm and 3.dcm"));
  write_dicom(folder / "2.dcm", 2, 5.0, "1.2.826.0.1.3680043.2.1125.9");
  EXPECT_THAT(
      message_of([&] { read_volume(folder.path().string()); }),
      HasSubstr("expected one DICOM series, got 2: 1.2.826.0.1.3680043.2.1125.1 (4 files)"));
}

TEST(Dicom, RefusesTruncatedSlices) {
  const TemporaryFolder folder;
  for (const int number : {0, 1, 2})
    write_dicom(folder / fmt::format("{}.dcm", number), number, 2.5 * number);
  const auto size = static_cast<std::int64_t>(fs::file_size(folder / "1.dcm"));
  for (const std::int64_t left : {size - 1, size - 20, size - 60, size / 2, std::int64_t{100}}) {
    fs::resize_file(folder / "1.dcm", left);
    EXPECT_THAT(message_of([&] { read_volume(folder.path().string()); }),
                HasSubstr("io: " + (folder / "1.dcm")))
        << left << " of " << size;
    EXPECT_NE(message_of([&] { read_header(folder.path().string()); }), "")
        << left << " of " << size;
    write_dicom(folder / "1.dcm", 1, 2.5);
  }
}

}  // namespace
}  // namespace triptych
