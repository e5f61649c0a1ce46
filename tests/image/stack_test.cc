// SPDX-License-Identifier: Apache-2.0
// Folders of slices, multi-page TIFF and where their spacing comes from.
#include "framework/image/io.h"
#include "framework/image/natural_order.h"

#include "tests/image/sample_volumes.h"

#include <fstream>

#include <tiffio.h>

namespace triptych {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

void write_text(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

/// One slice of constant grey, without any spacing.
void write_slice(const std::string& path, int grey, Index3 shape = {1, 4, 6}) {
  Volume slice;
  slice.geometry.shape = shape;
  slice.geometry.spacing_known = false;
  slice.data = at::full({1, shape[0], shape[1], shape[2]}, grey, at::kByte);
  write_volume(path, slice);
}

TEST(NaturalOrder, ComparesNumbersByValue) {
  EXPECT_TRUE(natural_less("slice_2.tif", "slice_10.tif"));
  EXPECT_FALSE(natural_less("slice_10.tif", "slice_2.tif"));
  EXPECT_TRUE(natural_less("a2b3", "a2b12"));
  EXPECT_TRUE(natural_less("01", "1"));
  EXPECT_FALSE(natural_less("1", "01"));
  EXPECT_TRUE(natural_less("x99999999999999999999999", "x100000000000000000000000"));
  EXPECT_FALSE(natural_less("same", "same"));
}

TEST(SliceStack, OrdersSlicesByTheNumbersInTheirNames) {
  const TemporaryFolder folder;
  for (const int z : {10, 9, 2, 1, 0}) write_slice(folder / fmt::format("s{}.png", z), z);
  const Volume volume = read_volume(folder.path().string());
  EXPECT_EQ(volume.geometry.shape, (Index3{5, 4, 6}));
  EXPECT_TRUE(volume.data.select(2, 0).select(2, 0).flatten().equal(
      at::tensor({0, 1, 2, 9, 10}, at::kByte)));
}

TEST(SliceStack, HasNoSpacingUnlessSomeoneStatesIt) {
  const TemporaryFolder folder;
  for (int z = 0; z < 3; ++z) write_slice(folder / fmt::format("s/{}.tif", z), z);
  EXPECT_FALSE(read_header(folder / "s").geometry.spacing_known);
  ReadOptions options;
  options.spacing_mm = Eigen::Vector3d(0.1, 0.2, 0.3);
  EXPECT_EQ(read_header(folder / "s", options).geometry.spacing, *options.spacing_mm);
  write_text(folder / "spacing.txt", "0.0195 0.0195 0.02\n");
  EXPECT_EQ(read_header(folder / "s").geometry.spacing, Eigen::Vector3d(0.0195, 0.0195, 0.02));
  EXPECT_THAT(message_of([&] { read_header(folder / "s", options); }),
              HasSubstr("contradicts the file, expected 0.0195 mm, got spacing=0.1 mm"));
  write_text(folder / "s/spacing.yaml", "spacing: 0.5   # all axes\norigin: [1, 2, 3]\n");
  const Geometry geometry = read_header(folder / "s").geometry;
  EXPECT_EQ(geometry.spacing, Eigen::Vector3d(0.5, 0.5, 0.5));
  EXPECT_EQ(geometry.origin, Eigen::Vector3d(1.0, 2.0, 3.0));
  write_text(folder / "s/spacing.json", R"({"spacing": [1, 2]})");
  EXPECT_THAT(message_of([&] { read_header(folder / "s"); }),
              HasSubstr("expected 3 numbers as spacing (x, y, z in mm), got 2"));
  write_text(folder / "s/spacing.json", R"({"spacing": [1, 2, 0]})");
  EXPECT_THAT(message_of([&] { read_header(folder / "s"); }),
              HasSubstr("expected a positive spacing, got 1 2 0 mm"));
  write_text(folder / "s/spacing.json", R"({"spacing": [1, 2)");
  EXPECT_THAT(message_of([&] { read_header(folder / "s"); }), HasSubstr("spacing.json:1:"));
}

TEST(SliceStack, NamesTheSliceOfAnotherSize) {
  const TemporaryFolder folder;
  for (int z = 0; z < 4; ++z)
    write_slice(folder / fmt::format("{}.tif", z), z, z == 2 ? Index3{1, 4, 5} : Index3{1, 4, 6});
  const std::string expected =
      "geometry: " + (folder / "2.tif") + ": slice of another size, expected 6x4 as 0.tif, got 5x4";
  EXPECT_EQ(message_of([&] { read_header(folder.path().string()); }), expected);
  EXPECT_EQ(message_of([&] { read_volume(folder.path().string()); }), expected);
}

TEST(SliceStack, TouchesOnlyTheSlicesOfARegion) {
  const TemporaryFolder folder;
  for (int z = 0; z < 4; ++z) write_slice(folder / fmt::format("{}.tif", z), z);
  write_text(folder / "3.tif", "broken");
  const Volume part = read_region(folder.path().string(), {{1, 0, 2}, {2, 4, 3}});
  EXPECT_TRUE(part.data.select(2, 0).select(2, 0).flatten().equal(at::tensor({1, 2}, at::kByte)));
  EXPECT_THAT(message_of([&] { read_volume(folder.path().string()); }),
              HasSubstr("3.tif: cannot be read as TIFF"));
}

TEST(SliceStack, RefusesFoldersWithoutSlicesAndMixedFormats) {
  const TemporaryFolder folder;
  write_text(folder / "notes.txt", "nothing");
  EXPECT_THAT(message_of([&] { read_volume(folder.path().string()); }),
              HasSubstr("expected a folder of slices (.tif .png .jpg) or DICOM files, got none"));
  write_slice(folder / "0.tif", 0);
  write_slice(folder / "1.png", 1);
  EXPECT_THAT(message_of([&] { read_volume(folder.path().string()); }),
              HasSubstr("expected slices of one format, got 1 .png, 1 .tif"));
  EXPECT_THAT(message_of([&] { read_volume(folder / "0.tif/"); }),
              HasSubstr("expected a folder, got a file"));
}

TEST(SliceStack, ReadsColorSlices) {
  const TemporaryFolder folder;
  Geometry geometry;
  geometry.shape = {3, 5, 6};
  geometry.spacing_known = false;
  const Volume volume = sample_volume(at::kByte, 3, geometry);
  write_volume(folder / "stack/", volume);
  expect_same_data(read_volume(folder / "stack").data, volume.data);
  ReadOptions grey;
  grey.color = ColorMode::kGrey;
  const Volume luma = read_volume(folder / "stack", grey);
  EXPECT_EQ(luma.data.size(0), 1);
  const auto expected = std::lround(0.299 * volume.data[0][1][2][3].item<double>() +
                                    0.587 * volume.data[1][1][2][3].item<double>() +
                                    0.114 * volume.data[2][1][2][3].item<double>());
  EXPECT_EQ(luma.data[0][1][2][3].item<int>(), expected);
}

/// What a writer other than ours makes.
class TiffMaker {
 public:
  explicit TiffMaker(const std::string& path, const char* mode = "w")
      : tiff_(TIFFOpen(path.c_str(), mode)) {}
  ~TiffMaker() { TIFFClose(tiff_); }

  template <typename Sample>
  void page(int width,
            int height,
            int samples,
            int planar,
            const std::vector<Sample>& values,
            int photometric,
            bool tiled = false) {
    TIFFSetField(tiff_, TIFFTAG_IMAGEWIDTH, width);
    TIFFSetField(tiff_, TIFFTAG_IMAGELENGTH, height);
    TIFFSetField(tiff_, TIFFTAG_SAMPLESPERPIXEL, samples);
    TIFFSetField(tiff_, TIFFTAG_BITSPERSAMPLE, static_cast<int>(8 * sizeof(Sample)));
    TIFFSetField(tiff_, TIFFTAG_PHOTOMETRIC, photometric);
    TIFFSetField(tiff_, TIFFTAG_PLANARCONFIG, planar);
    const int planes = planar == PLANARCONFIG_SEPARATE ? samples : 1;
    const int row = width * samples / planes;
    if (tiled) {
      TIFFSetField(tiff_, TIFFTAG_TILEWIDTH, 16);
      TIFFSetField(tiff_, TIFFTAG_TILELENGTH, 16);
      write_tiles(width, height, values);
    } else {
      TIFFSetField(tiff_, TIFFTAG_ROWSPERSTRIP, 3);
      for (int plane = 0; plane < planes; ++plane) {
        for (int y = 0; y < height; ++y) {
          std::vector<Sample> line(values.begin() + (plane * height + y) * row,
                                   values.begin() + (plane * height + y + 1) * row);
          TIFFWriteScanline(tiff_, line.data(), y, static_cast<std::uint16_t>(plane));
        }
      }
    }
    TIFFWriteDirectory(tiff_);
  }

  template <typename Value>
  void field(int tag, Value value) {
    TIFFSetField(tiff_, tag, value);
  }

 private:
  template <typename Sample>
  void write_tiles(int width, int height, const std::vector<Sample>& values) {
    for (int top = 0; top < height; top += 16) {
      for (int left = 0; left < width; left += 16) {
        std::vector<Sample> tile(256);
        for (int y = top; y < std::min(height, top + 16); ++y) {
          for (int x = left; x < std::min(width, left + 16); ++x)
            tile[(y - top) * 16 + x - left] = values[y * width + x];
        }
        TIFFWriteTile(tiff_, tile.data(), left, top, 0, 0);
      }
    }
  }

  TIFF* tiff_;
};

template <typename Sample>
std::vector<Sample> counted(int count) {
  std::vector<Sample> values(count);
  for (int i = 0; i < count; ++i) values[i] = static_cast<Sample>(i * 7);
  return values;
}

TEST(Tiff, ReadsTilesBigEndianAndBigTiff) {
  const TemporaryFolder folder;
  for (const char* mode : {"w", "wb", "w8", "w8b"}) {
    const auto values = counted<std::uint16_t>(37 * 21);
    TiffMaker(folder / "a.tif", mode)
        .page(37, 21, 1, PLANARCONFIG_CONTIG, values, PHOTOMETRIC_MINISBLACK, true);
    const Volume volume = read_volume(folder / "a.tif");
    EXPECT_EQ(volume.data.scalar_type(), at::kInt);
    EXPECT_EQ(volume.data[0][0][20][36].item<int>(), values.back());
    const Volume part = read_region(folder / "a.tif", {{0, 15, 14}, {1, 3, 20}});
    EXPECT_TRUE(part.data.equal(volume.data.narrow(2, 15, 3).narrow(3, 14, 20)));
    EXPECT_FALSE(volume.geometry.spacing_known);
  }
}

TEST(Tiff, ReadsSeparatePlanesOfColor) {
  const TemporaryFolder folder;
  const auto values = counted<std::uint8_t>(3 * 5 * 4);
  TiffMaker(folder / "a.tif").page(5, 4, 3, PLANARCONFIG_SEPARATE, values, PHOTOMETRIC_RGB);
  const Volume volume = read_volume(folder / "a.tif");
  EXPECT_EQ(volume.data.sizes(), (std::vector<std::int64_t>{3, 1, 4, 5}));
  EXPECT_EQ(volume.data[2][0][1][3].item<int>(), values[2 * 20 + 5 + 3]);
}

TEST(Tiff, KeepsStoredNumbersHoweverTheyAreDisplayed) {
  const TemporaryFolder folder;
  TiffMaker(folder / "a.tif")
      .page(
          2, 1, 1, PLANARCONFIG_CONTIG, std::vector<std::uint8_t>{0, 250}, PHOTOMETRIC_MINISWHITE);
  EXPECT_TRUE(read_volume(folder / "a.tif").data.flatten().equal(at::tensor({0, 250}, at::kByte)));
}

TEST(Tiff, ResolutionTagsAloneAreNoSpacing) {
  const TemporaryFolder folder;
  TiffMaker maker(folder / "a.tif");
  maker.field(TIFFTAG_XRESOLUTION, 72.0);
  maker.field(TIFFTAG_YRESOLUTION, 72.0);
  maker.field(TIFFTAG_RESOLUTIONUNIT, RESUNIT_INCH);
  maker.page(2, 1, 1, PLANARCONFIG_CONTIG, std::vector<std::uint8_t>{1, 2}, PHOTOMETRIC_MINISBLACK);
  TIFFSetWarningHandler(nullptr);
  {
    TiffMaker other(folder / "b.tif");
    other.field(TIFFTAG_IMAGEDESCRIPTION, "ImageJ=1.53t\nunit=micron\n");
    other.field(TIFFTAG_XRESOLUTION, 0.5);
    other.field(TIFFTAG_YRESOLUTION, 0.25);
    other.page(
        2, 1, 1, PLANARCONFIG_CONTIG, std::vector<std::uint8_t>{1, 2}, PHOTOMETRIC_MINISBLACK);
  }
  const Geometry geometry = read_header(folder / "b.tif").geometry;
  EXPECT_TRUE(geometry.spacing_known);
  EXPECT_TRUE(geometry.spacing.isApprox(Eigen::Vector3d(0.002, 0.004, 1.0), 1e-6));
}

/// A TIFF as ImageJ writes it: the directory first, then the pixels of all pages, of which it names
/// the first alone.
std::string imagej_stack(const std::string& description, const std::string& pixels) {
  std::string bytes("II*\0\x08\0\0\0", 8);
  const auto number = [&](std::uint32_t value, int width) {
    for (int i = 0; i < width; ++i) bytes += static_cast<char>(value >> (8 * i) & 0xff);
  };
  const std::uint32_t text_at = 8 + 2 + 8 * 12 + 4;
  const auto pixels_at = static_cast<std::uint32_t>(text_at + description.size());
  const std::uint32_t entries[8][4] = {
      {256, 3, 1, 2},
      {257, 3, 1, 2},
      {258, 3, 1, 8},
      {259, 3, 1, 1},
      {262, 3, 1, 1},
      {270, 2, static_cast<std::uint32_t>(description.size()), text_at},
      {273, 4, 1, pixels_at},
      {279, 4, 1, 4}};
  number(8, 2);
  for (const auto& entry : entries) {
    number(entry[0], 2);
    number(entry[1], 2);
    number(entry[2], 4);
    number(entry[3], 4);
  }
  number(0, 4);
  return bytes + description + pixels;
}

TEST(Tiff, ReadsImageJStacksWhosePagesFollowTheFirst) {
  const TemporaryFolder folder;
  const std::string description("ImageJ=1.53t\nimages=3\nslices=3\n\0", 32);
  write_text(folder / "a.tif", imagej_stack(description, "abcdefghijkl"));
  const Volume volume = read_volume(folder / "a.tif");
  EXPECT_EQ(volume.geometry.shape, (Index3{3, 2, 2}));
  EXPECT_EQ(volume.data[0][2][1][1].item<int>(), 'l');
  EXPECT_TRUE(read_region(folder / "a.tif", {{1, 1, 0}, {1, 1, 2}})
                  .data.flatten()
                  .equal(at::tensor({int('g'), int('h')}, at::kByte)));
  write_text(folder / "a.tif", imagej_stack(description, "abcdefghijk"));
  EXPECT_THAT(message_of([&] { read_volume(folder / "a.tif"); }),
              HasSubstr("truncated, its description promises 12 bytes of voxels, got 11"));
  {
    TiffMaker maker(folder / "b.tif");
    maker.field(TIFFTAG_IMAGEDESCRIPTION, "ImageJ=1.53t\nimages=3\nslices=3\n");
    maker.page(2,
               2,
               1,
               PLANARCONFIG_CONTIG,
               std::vector<std::uint8_t>{1, 2, 3, 4},
               PHOTOMETRIC_MINISBLACK);
  }
  EXPECT_THAT(message_of([&] { read_volume(folder / "b.tif"); }),
              HasSubstr("truncated, its description promises 12 bytes"));
}

TEST(Tiff, NamesThePageThatDiffers) {
  const TemporaryFolder folder;
  {
    TiffMaker maker(folder / "a.tif");
    maker.page(2, 2, 1, PLANARCONFIG_CONTIG, counted<std::uint8_t>(4), PHOTOMETRIC_MINISBLACK);
    maker.page(3, 2, 1, PLANARCONFIG_CONTIG, counted<std::uint8_t>(6), PHOTOMETRIC_MINISBLACK);
  }
  EXPECT_THAT(message_of([&] { read_header(folder / "a.tif"); }),
              HasSubstr("page 1 differs, expected 2x2 of uint8 as page 0, got 3x2 of uint8"));
}

TEST(Tiff, KeepsASidecarTrueWhenTheFileIsReplaced) {
  const TemporaryFolder folder;
  write_volume(folder / "a.tif", sample_volume(at::kByte));
  EXPECT_TRUE(fs::exists(folder / "a.json"));
  write_slice(folder / "a.tif", 3);
  EXPECT_FALSE(read_header(folder / "a.tif").geometry.spacing_known);
}

}  // namespace
}  // namespace triptych
