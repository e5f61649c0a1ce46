// SPDX-License-Identifier: Apache-2.0
// Writing and reading again gives the same voxels and the same place, for every format, type and
// shape.
#include "framework/image/io.h"

#include "tests/image/sample_volumes.h"

namespace triptych {
namespace {

using ::testing::HasSubstr;

/// How precisely a format keeps the geometry: NIfTI stores single precision, NRRD a product of
/// spacing and direction.
double tolerance_of(const std::string& name) {
  if (name.find(".nii") != std::string::npos) return 5e-7;
  return name.find("nrrd") != std::string::npos || name.find("nhdr") != std::string::npos ? 1e-14
                                                                                          : 0.0;
}

class RoundTrip : public ::testing::TestWithParam<std::tuple<const char*, at::ScalarType>> {};

TEST_P(RoundTrip, KeepsVoxelsTypeAndObliqueGeometry) {
  const auto& [name, type] = GetParam();
  const TemporaryFolder folder;
  const Volume volume = sample_volume(type);
  write_volume(folder / name, volume);
  const Volume back = read_volume(folder / name);
  expect_same_data(back.data, volume.data);
  expect_same_geometry(back.geometry, volume.geometry, tolerance_of(name));
  EXPECT_EQ(back.metadata.at("file"), folder / name);
}

TEST_P(RoundTrip, KeepsFourChannels) {
  const auto& [name, type] = GetParam();
  const TemporaryFolder folder;
  const Volume volume = sample_volume(type, 4);
  write_volume(folder / name, volume);
  expect_same_data(read_volume(folder / name).data, volume.data);
  const VolumeHeader header = read_header(folder / name);
  EXPECT_EQ(header.channels, 4);
  EXPECT_EQ(header.type, type);
  expect_same_geometry(header.geometry, volume.geometry, tolerance_of(name));
}

TEST_P(RoundTrip, ReadsRegionsEqualToCrops) {
  const auto& [name, type] = GetParam();
  const TemporaryFolder folder;
  for (const std::int64_t channels : {1, 3}) {
    const Volume volume = sample_volume(type, channels);
    write_volume(folder / name, volume);
    for (const Region& region : {Region{{1, 2, 3}, {3, 4, 5}},
                                 Region{{4, 0, 0}, {1, 7, 9}},
                                 Region{{0, 0, 0}, {5, 7, 9}},
                                 Region{{0, 6, 0}, {5, 1, 9}},
                                 Region{{2, 0, 8}, {1, 7, 1}}}) {
      const Volume part = read_region(folder / name, region);
      const at::Tensor crop = volume.data.narrow(1, region.start[0], region.size[0])
                                  .narrow(2, region.start[1], region.size[1])
                                  .narrow(3, region.start[2], region.size[2]);
      expect_same_data(part.data, crop);
      expect_same_geometry(
          part.geometry, read_header(folder / name).geometry.cropped(region), 1e-12);
    }
  }
}

constexpr const char* kNames[] = {"a.nii",
                                  "a.nii.gz",
                                  "a.mha",
                                  "a.mhd",
                                  "a.nrrd",
                                  "a.nhdr",
                                  "a.h5",
                                  "a.h5:/scan/image",
                                  "a.tif",
                                  "stack/"};
constexpr at::ScalarType kTypes[] = {
    at::kByte, at::kChar, at::kShort, at::kInt, at::kLong, at::kFloat, at::kDouble};

INSTANTIATE_TEST_SUITE_P(
    Formats,
    RoundTrip,
    ::testing::Combine(::testing::ValuesIn(kNames), ::testing::ValuesIn(kTypes)),
    [](const auto& parameters) {
      std::string name = std::string(std::get<0>(parameters.param)) + "_" +
                         at::toString(std::get<1>(parameters.param));
      std::replace_if(
          name.begin(), name.end(), [](unsigned char c) { return !std::isalnum(c); }, '_');
      return name;
    });

class Flat : public ::testing::TestWithParam<const char*> {};

TEST_P(Flat, Keeps2DImages) {
  const TemporaryFolder folder;
  Geometry geometry;
  geometry.shape = {1, 7, 9};
  geometry.spacing = {0.7, 1.3, 1.0};
  geometry.origin = {-3.5, 8.25, 0.0};
  const Volume volume = sample_volume(at::kShort, 1, geometry);
  write_volume(folder / GetParam(), volume);
  const Volume back = read_volume(folder / GetParam());
  expect_same_data(back.data, volume.data);
  expect_same_geometry(back.geometry, geometry, tolerance_of(GetParam()));
}

TEST_P(Flat, KeepsTheObliquePlaceOfASingleSlice) {
  const TemporaryFolder folder;
  const Volume volume = sample_volume(at::kFloat, 1, oblique_geometry({1, 7, 9}));
  write_volume(folder / GetParam(), volume);
  const Volume back = read_volume(folder / GetParam());
  expect_same_data(back.data, volume.data);
  expect_same_geometry(back.geometry, volume.geometry, tolerance_of(GetParam()));
}

TEST_P(Flat, KeepsThatASpacingIsUnknown) {
  const TemporaryFolder folder;
  for (const Index3& shape : {Index3{1, 7, 9}, Index3{5, 7, 9}}) {
    Geometry geometry;
    geometry.shape = shape;
    geometry.spacing_known = false;
    const Volume volume = sample_volume(at::kByte, 1, geometry);
    write_volume(folder / GetParam(), volume);
    expect_same_geometry(read_volume(folder / GetParam()).geometry, geometry, 0.0);
    ReadOptions options;
    options.spacing_mm = Eigen::Vector3d(0.5, 0.25, 2.0);
    const Geometry stated = read_header(folder / GetParam(), options).geometry;
    EXPECT_TRUE(stated.spacing_known);
    EXPECT_EQ(stated.spacing, *options.spacing_mm);
  }
}

TEST_P(Flat, RefusesASpacingThatContradictsTheFile) {
  const TemporaryFolder folder;
  write_volume(folder / GetParam(), sample_volume(at::kByte));
  ReadOptions options;
  options.spacing_mm = Eigen::Vector3d(0.703, 1.3, 2.9);
  EXPECT_NO_THROW(read_volume(folder / GetParam(), options));
  options.spacing_mm = Eigen::Vector3d(0.7, 1.4, 2.9);
  EXPECT_THAT(
      message_of([&] { read_volume(folder / GetParam(), options); }),
      HasSubstr("spacing along y contradicts the file, expected 1.3 mm, got spacing=1.4 mm"));
}

INSTANTIATE_TEST_SUITE_P(Formats, Flat, ::testing::ValuesIn(kNames), [](const auto& parameters) {
  std::string name = parameters.param;
  std::replace_if(
      name.begin(), name.end(), [](unsigned char c) { return !std::isalnum(c); }, '_');
  return name;
});

TEST(WriteVolume, LeavesNoTemporaryFilesBehind) {
  const TemporaryFolder folder;
  for (const char* name : kNames) write_volume(folder / name, sample_volume(at::kShort));
  for (const std::string& name : folder.names()) EXPECT_NE(name.front(), '.') << name;
}

TEST(WriteVolume, ReplacesAnEarlierFile) {
  const TemporaryFolder folder;
  for (const char* name : kNames) {
    write_volume(folder / name, sample_volume(at::kFloat));
    const Volume second = sample_volume(at::kByte, 1, oblique_geometry({3, 4, 5}));
    write_volume(folder / name, second);
    expect_same_data(read_volume(folder / name).data, second.data);
  }
}

TEST(WriteVolume, TurnsHalfPrecisionAndBoolIntoTypesOfFiles) {
  const TemporaryFolder folder;
  Volume volume = sample_volume(at::kByte);
  volume.data = volume.data.to(at::kHalf);
  write_volume(folder / "half.mha", volume);
  EXPECT_EQ(read_header(folder / "half.mha").type, at::kFloat);
  volume.data = volume.data.gt(3);
  write_volume(folder / "mask.nrrd", volume);
  EXPECT_EQ(read_header(folder / "mask.nrrd").type, at::kByte);
}

TEST(WriteVolume, KeepsLegacyVtkFilesWithoutADirection) {
  const TemporaryFolder folder;
  Volume volume = sample_volume(at::kShort);
  EXPECT_THAT(message_of([&] { write_volume(folder / "a.vtk", volume); }),
              HasSubstr("legacy VTK files hold no direction"));
  volume.geometry.direction.setIdentity();
  write_volume(folder / "a.vtk", volume);
  const Volume back = read_volume(folder / "a.vtk");
  expect_same_data(back.data, volume.data);
  expect_same_geometry(back.geometry, volume.geometry, 1e-5);
}

TEST(WriteVolume, WritesPicturesOf8And16Bits) {
  const TemporaryFolder folder;
  Geometry geometry;
  geometry.shape = {1, 7, 9};
  geometry.spacing_known = false;
  for (const std::int64_t channels : {1, 3, 4}) {
    const Volume volume = sample_volume(at::kByte, channels, geometry);
    write_volume(folder / "a.png", volume);
    const Volume back = read_volume(folder / "a.png");
    expect_same_data(back.data, volume.data);
    EXPECT_FALSE(back.geometry.spacing_known);
  }
  Volume deep = sample_volume(at::kInt, 1, geometry);
  deep.data = deep.data.abs().add(1000);
  write_volume(folder / "deep.png", deep);
  expect_same_data(read_volume(folder / "deep.png").data, deep.data);
  write_volume(folder / "a.jpg", sample_volume(at::kByte, 3, geometry));
  EXPECT_EQ(read_header(folder / "a.jpg").channels, 3);
  EXPECT_THAT(
      message_of([&] { write_volume(folder / "b.png", sample_volume(at::kFloat, 1, geometry)); }),
      HasSubstr("expected whole numbers of 8 or 16 bits, got float32"));
  EXPECT_THAT(message_of([&] { write_volume(folder / "b.png", sample_volume(at::kByte)); }),
              HasSubstr("expected a 2D image, got 5 slices"));
  EXPECT_THAT(message_of([&] {
                write_labels(folder / "b.jpg", sample_volume(at::kByte, 1, geometry), {});
              }),
              HasSubstr("JPEG changes values"));
}

TEST(WriteLabels, ChoosesTheSmallestIntegerType) {
  const TemporaryFolder folder;
  Volume labels = sample_volume(at::kLong);
  const auto stored = [&](std::int64_t lowest, std::int64_t highest, const std::string& name) {
    labels.data = at::full_like(labels.data, lowest);
    labels.data.view(-1)[5] = highest;
    write_labels(folder / name, labels, {});
    expect_same_data(read_labels(folder / name).data, labels.data);
    return read_header(folder / name).type;
  };
  for (const char* name : kNames) {
    EXPECT_EQ(stored(0, 255, name), at::kByte) << name;
    EXPECT_EQ(stored(-1, 4, name), at::kChar) << name;
    EXPECT_EQ(stored(0, 65535, name), at::kInt) << name;  // uint16 in the file
    EXPECT_EQ(stored(-1, 300, name), at::kShort) << name;
    EXPECT_EQ(stored(0, 4000000000, name), at::kLong) << name;  // uint32 in the file
    EXPECT_EQ(stored(-70000, 0, name), at::kInt) << name;
  }
}

}  // namespace
}  // namespace triptych
