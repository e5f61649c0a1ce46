// SPDX-License-Identifier: Apache-2.0
#include "framework/image/io.h"

#include "tests/image/sample_volumes.h"

#include <array>
#include <cstdio>
#include <memory>

#include <hdf5.h>

namespace triptych {
namespace {

using ::testing::HasSubstr;

/// What a program other than ours writes: contiguous, without attributes.
template <typename Number>
void write_dataset(hid_t file,
                   const char* name,
                   const std::vector<hsize_t>& shape,
                   hid_t stored,
                   hid_t native,
                   const std::vector<Number>& values) {
  const hid_t space = H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr);
  const hid_t links = H5Pcreate(H5P_LINK_CREATE);
  H5Pset_create_intermediate_group(links, 1);
  const hid_t dataset = H5Dcreate2(file, name, stored, space, links, H5P_DEFAULT, H5P_DEFAULT);
  H5Dwrite(dataset, native, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data());
  H5Dclose(dataset);
  H5Pclose(links);
  H5Sclose(space);
}

std::string output_of(const std::string& command) {
  std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(command.c_str(), "r"), ::pclose);
  std::string text;
  std::array<char, 4096> buffer{};
  while (pipe && std::fgets(buffer.data(), buffer.size(), pipe.get()) != nullptr)
    text += buffer.data();
  return text;
}

TEST(Hdf5, ReadsForeignDatasetsOf2To4AxesInAnyByteOrder) {
  const TemporaryFolder folder;
  const hid_t file = H5Fcreate((folder / "a.h5").c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  const std::vector<int> values{0, 1, 2, 3, 4, 60000, 6, 7, 8, 9, 10, 11};
  write_dataset(file, "flat", {3, 4}, H5T_STD_U16BE, H5T_NATIVE_INT, values);
  write_dataset(file, "scan/volume", {1, 3, 4}, H5T_IEEE_F32BE, H5T_NATIVE_INT, values);
  write_dataset(file, "scan/channels", {2, 1, 2, 3}, H5T_STD_I32LE, H5T_NATIVE_INT, values);
  write_dataset(file, "scan/angles", {12}, H5T_STD_I32LE, H5T_NATIVE_INT, values);
  H5Fclose(file);
  const Volume flat = read_volume(folder / "a.h5:/flat");
  EXPECT_EQ(flat.data.sizes(), (std::vector<std::int64_t>{1, 1, 3, 4}));
  EXPECT_EQ(flat.data.scalar_type(), at::kInt);
  EXPECT_EQ(flat.data[0][0][1][1].item<int>(), 60000);
  EXPECT_FALSE(flat.geometry.spacing_known);
  EXPECT_EQ(read_volume(folder / "a.h5:scan/volume").data.scalar_type(), at::kFloat);
  EXPECT_EQ(read_volume(folder / "a.h5:/scan/channels").data.sizes(),
            (std::vector<std::int64_t>{2, 1, 2, 3}));
  EXPECT_THAT(message_of([&] { read_volume(folder / "a.h5:/scan/angles"); }),
              HasSubstr("expected numbers with 2 to 4 axes, got /scan/angles [12]"));
  EXPECT_THAT(
      message_of([&] { read_volume(folder / "a.h5:/scan/volum"); }),
      HasSubstr(
          "no dataset '/scan/volum', expected one of /flat [3, 4], /scan/angles [12], "
          "/scan/channels [2, 1, 2, 3], /scan/volume [1, 3, 4]; did you mean '/scan/volume'?"));
  EXPECT_THAT(message_of([&] { read_volume(folder / "a.h5"); }),
              HasSubstr("expected one image dataset, got 3"));
}

TEST(Hdf5, RefusesUnsigned64BitValuesThatDoNotFit) {
  const TemporaryFolder folder;
  const hid_t file = H5Fcreate((folder / "a.h5").c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  write_dataset(file,
                "fits",
                {1, 2},
                H5T_STD_U64LE,
                H5T_NATIVE_UINT64,
                std::vector<std::uint64_t>{1, 1ULL << 62});
  write_dataset(file,
                "large",
                {1, 2},
                H5T_STD_U64LE,
                H5T_NATIVE_UINT64,
                std::vector<std::uint64_t>{1, 1ULL << 63});
  H5Fclose(file);
  EXPECT_EQ(read_volume(folder / "a.h5:/fits").data.max().item<std::int64_t>(),
            std::int64_t{1} << 62);
  EXPECT_THAT(message_of([&] { read_volume(folder / "a.h5:/large"); }),
              HasSubstr("expected voxels below 2^63"));
}

TEST(Hdf5, ReadsElementSizesOfIlastikAndFiji) {
  const TemporaryFolder folder;
  const hid_t file = H5Fcreate((folder / "a.h5").c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  write_dataset(file, "a", {1, 1, 2}, H5T_STD_U8LE, H5T_NATIVE_INT, std::vector<int>{1, 2});
  const hid_t dataset = H5Dopen2(file, "a", H5P_DEFAULT);
  const hsize_t three = 3;
  const hid_t space = H5Screate_simple(1, &three, nullptr);
  const hid_t attribute =
      H5Acreate2(dataset, "element_size_um", H5T_IEEE_F32LE, space, H5P_DEFAULT, H5P_DEFAULT);
  const std::array<float, 3> size{3.0f, 2.0f, 1.0f};
  H5Awrite(attribute, H5T_NATIVE_FLOAT, size.data());
  H5Aclose(attribute);
  H5Sclose(space);
  H5Dclose(dataset);
  H5Fclose(file);
  EXPECT_TRUE(
      read_header(folder / "a.h5").geometry.spacing.isApprox(Eigen::Vector3d(0.001, 0.002, 0.003)));
}

TEST(Hdf5, WritingOneDatasetKeepsTheOthers) {
  const TemporaryFolder folder;
  const Volume image = sample_volume(at::kFloat);
  const Volume other = sample_volume(at::kShort, 2);
  write_volume(folder / "a.h5:/scan/image", image);
  write_volume(folder / "a.h5:/scan/other", other);
  write_volume(folder / "a.h5:/scan/other", sample_volume(at::kByte));
  expect_same_data(read_volume(folder / "a.h5:/scan/image").data, image.data);
  expect_same_data(read_volume(folder / "a.h5:/scan/other").data, sample_volume(at::kByte).data);
  EXPECT_THAT(message_of([&] { write_volume(folder / "a.h5:/scan", image); }),
              HasSubstr("expected a dataset to replace, got a group"));
  expect_same_data(read_volume(folder / "a.h5:/scan/image").data, image.data);
}

TEST(Hdf5, WritesChunkedCompressedDatasetsThatH5dumpReads) {
  if (std::system("h5dump --version > /dev/null 2>&1") != 0)
    GTEST_SKIP() << "h5dump (package hdf5-tools) is not installed";
  const TemporaryFolder folder;
  write_volume(folder / "a.h5:/image",
               sample_volume(at::kShort, 1, oblique_geometry({70, 80, 90})));
  const std::string text = output_of("h5dump -p -H " + (folder / "a.h5"));
  for (const char* part : {"CHUNKED ( 64, 64, 64 )",
                           "COMPRESSION DEFLATE",
                           "PREPROCESSING SHUFFLE",
                           "H5T_STD_I16LE",
                           "( 70, 80, 90 )",
                           "ATTRIBUTE \"spacing\"",
                           "ATTRIBUTE \"origin\"",
                           "ATTRIBUTE \"direction\""}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
}

}  // namespace
}  // namespace triptych
