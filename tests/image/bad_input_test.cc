// SPDX-License-Identifier: Apache-2.0
// Files that are missing, empty, cut short or not what their name says: one clear line each, never
// a volume of zeros.
#include "framework/core/file.h"
#include "framework/image/io.h"

#include "tests/image/sample_volumes.h"

#include <cstring>
#include <fstream>
#include <limits>

namespace triptych {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

std::string reading(const std::string& location, const ReadOptions& options = {}) {
  return message_of([&] { read_volume(location, options); });
}

void write_text(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

TEST(BadInput, MissingFilesAreNamedWithTheNearestNeighbour) {
  const TemporaryFolder folder;
  write_volume(folder / "patient_01.nii.gz", sample_volume(at::kByte));
  EXPECT_EQ(reading(folder / "patient_1.nii.gz"),
            "io: " + (folder / "patient_1.nii.gz") +
                ": no such file or folder; did you mean 'patient_01.nii.gz'?");
  EXPECT_THAT(reading(folder / "nowhere/"), HasSubstr("no such file or folder"));
  EXPECT_THAT(reading(folder / "x.h5:/a"), HasSubstr("x.h5: no such file or folder"));
  EXPECT_THAT(reading(""), HasSubstr("got an empty name"));
}

TEST(BadInput, UnknownExtensionsListTheKnownOnes) {
  const TemporaryFolder folder;
  write_text(folder / "a.xyz", "text");
  const std::string message = reading(folder / "a.xyz");
  EXPECT_THAT(message, HasSubstr("unknown image format, expected one of .nii .nii.gz .mha"));
  EXPECT_THAT(message, HasSubstr("got '.xyz'"));
  EXPECT_THAT(message_of([&] { write_volume(folder / "a.nii.zip", sample_volume(at::kByte)); }),
              HasSubstr("unknown image format"));
}

class BadFile : public ::testing::TestWithParam<const char*> {
 protected:
  /// The file with the voxels: beside the header for .mhd and .nhdr.
  static fs::path data_file(const fs::path& file) {
    for (const char* extension : {".zraw", ".raw.gz", ".raw"}) {
      fs::path data = file;
      data.replace_extension(extension);
      if (fs::exists(data)) return data;
    }
    return file;
  }

  static Volume volume_for(const std::string& name) {
    const bool picture = name.ends_with(".png") || name.ends_with(".jpg");
    Geometry geometry = oblique_geometry(picture ? Index3{1, 40, 50} : Index3{12, 14, 16});
    if (picture || name.ends_with(".vtk")) geometry.direction.setIdentity();
    return sample_volume(picture ? at::kByte : at::kShort, 1, geometry);
  }
};

TEST_P(BadFile, EmptyFilesAreRefused) {
  const TemporaryFolder folder;
  write_text(folder / GetParam(), "");
  EXPECT_EQ(reading(folder / GetParam()),
            "io: " + (folder / GetParam()) + ": expected an image, got an empty file (0 bytes)");
  EXPECT_THAT(message_of([&] { read_header(folder / GetParam()); }), HasSubstr("empty file"));
}

TEST_P(BadFile, TruncatedFilesAreRefusedWhereverTheyEnd) {
  const TemporaryFolder folder;
  const std::string name = GetParam();
  const Volume volume = volume_for(name);
  write_volume(folder / name, volume);
  const fs::path data = data_file(folder / name);
  const auto size = static_cast<std::int64_t>(fs::file_size(data));
  ASSERT_EQ(reading(folder / name), "");
  // The last byte of a TIFF file belongs to its description; pixels lie further ahead.
  const double most = name.ends_with(".tif") ? 0.9 : 0.9999;
  for (const double part : {most, 0.89, 0.7, 0.3, 0.02}) {
    const auto left = std::min<std::int64_t>(
        size - 1, static_cast<std::int64_t>(part * static_cast<double>(size)));
    fs::resize_file(data, std::max<std::int64_t>(left, 1));
    const std::string message = reading(folder / name);
    EXPECT_THAT(message, HasSubstr("io: ")) << left << " of " << size;
    EXPECT_THAT(message, HasSubstr(folder / name)) << left << " of " << size;
    EXPECT_NE(message_of([&] { read_header(folder / name); }), "") << left << " of " << size;
    fs::remove(folder / name);
    write_volume(folder / name, volume);
  }
}

TEST_P(BadFile, TextUnderAnImageNameIsRefused) {
  const TemporaryFolder folder;
  for (const std::size_t length : {10u, 5000u}) {
    write_text(folder / GetParam(), std::string(length, 'x'));
    EXPECT_THAT(reading(folder / GetParam()), HasSubstr("io: " + (folder / GetParam()))) << length;
  }
}

INSTANTIATE_TEST_SUITE_P(Formats,
                         BadFile,
                         ::testing::Values("a.nii",
                                           "a.nii.gz",
                                           "a.mha",
                                           "a.mhd",
                                           "a.nrrd",
                                           "a.nhdr",
                                           "a.vtk",
                                           "a.h5",
                                           "a.tif",
                                           "a.png",
                                           "a.jpg"),
                         [](const auto& parameters) {
                           std::string name = parameters.param;
                           std::replace(name.begin(), name.end(), '.', '_');
                           return name;
                         });

TEST(BadInput, TruncatedVoxelsAreCounted) {
  const TemporaryFolder folder;
  write_volume(folder / "a.nii", sample_volume(at::kShort));
  fs::resize_file(folder / "a.nii", 352 + 100);
  EXPECT_EQ(reading(folder / "a.nii"),
            "io: " + (folder / "a.nii") + ": truncated, expected 630 bytes of voxels, got 100");
  write_volume(folder / "b.mhd", sample_volume(at::kShort));
  fs::remove(folder / "b.zraw");
  EXPECT_THAT(message_of([&] { read_header(folder / "b.mhd"); }),
              HasSubstr("its voxels are missing"));
}

TEST(BadInput, DamagedCompressedDataAreRefused) {
  const TemporaryFolder folder;
  write_volume(folder / "a.nii.gz", sample_volume(at::kFloat, 1, oblique_geometry({20, 20, 20})));
  std::string bytes = read_file(folder / "a.nii.gz");
  for (std::size_t i = bytes.size() / 2; i < bytes.size() / 2 + 40; ++i) bytes[i] = '\xff';
  write_text(folder / "a.nii.gz", bytes);
  EXPECT_THAT(reading(folder / "a.nii.gz"), HasSubstr("damaged"));
}

TEST(BadInput, SizesThatTheFileCannotHoldAreRefusedAtOnce) {
  const TemporaryFolder folder;
  write_text(folder / "a.nrrd",
             "NRRD0004\ntype: short\ndimension: 3\nsizes: -4 4 4\nencoding: raw\n\n1234");
  EXPECT_THAT(reading(folder / "a.nrrd"), HasSubstr("damaged header, expected sizes"));
  EXPECT_THAT(reading(folder / "a.nrrd"), HasSubstr("got 'sizes: -4 4 4'"));
  const auto meta = [](const std::string& sizes) {
    return "ObjectType = Image\nNDims = 3\nElementSpacing = 1 1 1\nDimSize = " + sizes +
           "\nElementType = MET_UCHAR\nElementDataFile = LOCAL\n1234";
  };
  write_text(folder / "a.mha", meta("20000 20000 20000"));
  EXPECT_THAT(reading(folder / "a.mha"),
              HasSubstr("truncated, expected 8000000000000 bytes of voxels, got 4"));
  write_text(folder / "a.mha", meta("4000000000 4000000000 4000000000"));
  EXPECT_THAT(reading(folder / "a.mha"), HasSubstr("truncated or damaged, expected 4000000000 x"));
  write_volume(folder / "a.nii", sample_volume(at::kShort));
  std::string bytes = read_file(folder / "a.nii");
  std::fill_n(bytes.begin() + 42, 2, '\0');  // dim[1]
  write_text(folder / "a.nii", bytes);
  EXPECT_THAT(reading(folder / "a.nii"),
              HasSubstr("axes of at least one voxel, got 3 axes of size 0"));
}

TEST(BadInput, CompressedSizesThatTheFileCannotHoldAreRefusedAtOnce) {
  const TemporaryFolder folder;
  write_text(folder / "a.nrrd",
             "NRRD0004\ntype: short\ndimension: 3\nsizes: 20000 20000 20000\nencoding: gzip\n\n"
             "1234");
  EXPECT_THAT(reading(folder / "a.nrrd"), HasSubstr("got compressed data of"));
}

TEST(BadInput, NiftiWithAZeroSpacingIsRefused) {
  const TemporaryFolder folder;
  write_volume(folder / "a.nii", sample_volume(at::kShort));
  std::string bytes = read_file(folder / "a.nii");
  std::fill_n(bytes.begin() + 76 + 8, 4, '\0');  // pixdim[2]
  write_text(folder / "a.nii", bytes);
  EXPECT_THAT(reading(folder / "a.nii"),
              HasSubstr("geometry: " + (folder / "a.nii") +
                        ": expected a positive spacing along y, got 0 mm"));
}

TEST(BadInput, NiftiWithAnAffineThatIsNoneIsRefused) {
  const TemporaryFolder folder;
  write_volume(folder / "a.nii", sample_volume(at::kShort));
  const std::string bytes = read_file(folder / "a.nii");
  const auto with_sform = [&](float xx, float yx) {
    std::string changed = bytes;
    changed[252] = 0;  // qform_code
    changed[254] = 1;  // sform_code
    std::memcpy(changed.data() + 280, &xx, sizeof(float));
    std::memcpy(changed.data() + 296, &yx, sizeof(float));
    write_text(folder / "a.nii", changed);
    return reading(folder / "a.nii");
  };
  EXPECT_THAT(with_sform(std::numeric_limits<float>::quiet_NaN(), 0.0F),
              HasSubstr("expected a finite sform and qform"));
  EXPECT_THAT(with_sform(0.0F, 0.0F), HasSubstr("expected axes at right angles"));
  EXPECT_THAT(with_sform(1.0F, 1.0F), HasSubstr("expected axes at right angles"));
}

TEST(BadInput, MetaImageWithoutAPlaceIsRefused) {
  const TemporaryFolder folder;
  write_text(folder / "a.mha",
             "ObjectType = Image\nNDims = 2\nOffset = nan 0\nElementSpacing = 1 1\nDimSize = 2 2\n"
             "ElementType = MET_UCHAR\nElementDataFile = LOCAL\n1234");
  EXPECT_THAT(reading(folder / "a.mha"), HasSubstr("expected finite numbers, got 'offset: nan 0'"));
}

TEST(BadInput, ShearedDirectionsAreRefused) {
  const TemporaryFolder folder;
  write_text(folder / "a.mha",
             "ObjectType = Image\nNDims = 2\nTransformMatrix = 1 0 0.5 1\nOffset = 0 "
             "0\nElementSpacing = 1 1\nDimSize = 2 2\n"
             "ElementType = MET_UCHAR\nElementDataFile = LOCAL\n1234");
  EXPECT_THAT(reading(folder / "a.mha"), HasSubstr("expected an orthonormal direction matrix"));
}

TEST(BadInput, MetaImageWithoutSpacingSaysSo) {
  const TemporaryFolder folder;
  write_text(folder / "a.mha",
             "ObjectType = Image\nNDims = 2\nDimSize = 2 2\nElementType = "
             "MET_UCHAR\nElementDataFile = LOCAL\n1234");
  EXPECT_FALSE(read_header(folder / "a.mha").geometry.spacing_known);
}

TEST(BadInput, RegionsOutsideAreRefused) {
  const TemporaryFolder folder;
  write_volume(folder / "a.mha", sample_volume(at::kByte));
  EXPECT_THAT(message_of([&] {
                read_region(folder / "a.mha", {{0, 0, 5}, {1, 1, 5}});
              }),
              HasSubstr("geometry: " + (folder / "a.mha") +
                        ": expected a region inside 0..9 along W, got 5..10"));
}

TEST(BadInput, LabelsMustBeWholeNumbersInOneChannel) {
  const TemporaryFolder folder;
  Volume volume = sample_volume(at::kFloat);
  volume.data = volume.data.round();
  write_volume(folder / "a.nii.gz", volume);
  EXPECT_EQ(read_labels(folder / "a.nii.gz").data.scalar_type(), at::kLong);
  volume.data[0][1][2][3] = 0.5;
  write_volume(folder / "a.nii.gz", volume);
  EXPECT_THAT(message_of([&] { read_labels(folder / "a.nii.gz"); }),
              HasSubstr("expected whole numbers in a label map, got 0.5 at voxel (x 3, y 2, z 1)"));
  volume.data[0][1][2][3] = std::nan("");
  write_volume(folder / "a.nii.gz", volume);
  EXPECT_THAT(message_of([&] { read_labels(folder / "a.nii.gz"); }), HasSubstr("got nan at voxel"));
  write_volume(folder / "a.nii.gz", sample_volume(at::kByte, 3));
  EXPECT_THAT(message_of([&] { read_labels(folder / "a.nii.gz"); }),
              HasSubstr("expected one channel in a label map, got 3"));
}

TEST(BadInput, GreyNeedsColors) {
  const TemporaryFolder folder;
  ReadOptions grey;
  grey.color = ColorMode::kGrey;
  write_volume(folder / "a.mha", sample_volume(at::kByte, 7));
  EXPECT_THAT(reading(folder / "a.mha", grey),
              HasSubstr("expected colours (3 or 4 channels) to turn into grey, got 7"));
}

TEST(BadInput, UnwritableFoldersGiveAnIoError) {
  const TemporaryFolder folder;
  write_text(folder / "file", "x");
  for (const char* name :
       {"file/a.nii.gz", "file/a.mha", "file/a.h5", "file/a.tif", "file/stack/"}) {
    EXPECT_THAT(message_of([&] { write_volume(folder / name, sample_volume(at::kByte)); }),
                HasSubstr("io: "))
        << name;
  }
  fs::create_directory(folder / "outputs");
  write_text(folder / "outputs/notes.txt", "keep");
  EXPECT_THAT(message_of([&] { write_volume(folder / "outputs", sample_volume(at::kByte)); }),
              HasSubstr("expected a file to write, got a folder"));
  EXPECT_THAT(message_of([&] { write_volume(folder / "outputs/", sample_volume(at::kByte)); }),
              HasSubstr("expected an empty folder or one of slices to replace, got notes.txt"));
  EXPECT_TRUE(fs::exists(folder / "outputs/notes.txt"));
}

TEST(IsImageLocation, LooksAtTheNameAlone) {
  for (const char* yes :
       {"a.nii.gz", "a.MHA", "x/a.seg.nrrd", "a.h5:/b", "a.h5", "folder/", "a.tiff", "a.dcm"})
    EXPECT_TRUE(is_image_location(yes)) << yes;
  for (const char* no : {"a.txt", "a", "a.gz", "", "a.yaml"})
    EXPECT_FALSE(is_image_location(no)) << no;
}

}  // namespace
}  // namespace triptych
