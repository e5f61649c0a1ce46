// SPDX-License-Identifier: Apache-2.0
// Datasets [H, W], [D, H, W] or [C, D, H, W] of HDF5 files. Attributes `spacing` (x, y, z in mm),
// `origin` and `direction` (LPS, row by row) give the place; `element_size_um` (z, y, x), as
// ilastik and Fiji write it, is read too.
#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/core/suggest.h"
#include "framework/image/format.h"
#include "framework/image/hdf5_file.h"

#include <algorithm>
#include <array>

#include <ATen/ATen.h>
#include <fmt/core.h>

namespace triptych {
namespace {

namespace fs = std::filesystem;

/// The dataset asked for, or the only image of the file.
Hdf5Dataset choose_dataset(hid_t file, const fs::path& path, const std::string& wanted) {
  const auto all = list_datasets(file);
  std::vector<Hdf5Dataset> images;
  std::vector<std::string> names;
  for (const Hdf5Dataset& dataset : all) {
    names.push_back(dataset.path);
    if (dataset.is_image()) images.push_back(dataset);
    if (!wanted.empty() && (dataset.path == wanted || dataset.path == "/" + wanted)) return dataset;
  }
  if (!wanted.empty()) {
    throw io_error(fmt::format("{}: no dataset '{}', expected one of {}{}",
                               path.string(),
                               wanted,
                               dataset_names(all),
                               did_you_mean(wanted, names)));
  }
  if (images.size() == 1) return images.front();
  throw io_error(fmt::format("{}: expected one image dataset, got {}: {}",
                             path.string(),
                             images.size(),
                             dataset_names(all)),
                 fmt::format("name one as {}:/path", path.string()));
}

VoxelType voxel_type_of(hid_t dataset, const std::string& place) {
  const Hdf5Handle type(H5Dget_type(dataset), H5Tclose);
  const H5T_class_t kind = H5Tget_class(type);
  const auto bytes = static_cast<std::int64_t>(H5Tget_size(type));
  if (kind == H5T_FLOAT && bytes <= 8)
    return bytes <= 4 ? VoxelType::kFloat32 : VoxelType::kFloat64;
  if (kind == H5T_INTEGER) return integer_type(bytes, H5Tget_sign(type) == H5T_SGN_2);
  if (kind == H5T_ENUM && bytes == 1) return VoxelType::kUInt8;  // h5py writes bool so
  throw data_error(
      fmt::format("{}: expected integer or float voxels, got another HDF5 type", place));
}

/// The type HDF5 converts to while reading. uint64 keeps its bits, because the conversion would
/// clip in silence.
hid_t memory_type(VoxelType type) {
  if (type == VoxelType::kUInt64) return H5T_NATIVE_UINT64;
  switch (tensor_type(type)) {
    case at::kByte:
      return H5T_NATIVE_UINT8;
    case at::kChar:
      return H5T_NATIVE_INT8;
    case at::kShort:
      return H5T_NATIVE_INT16;
    case at::kInt:
      return H5T_NATIVE_INT32;
    case at::kLong:
      return H5T_NATIVE_INT64;
    case at::kFloat:
      return H5T_NATIVE_FLOAT;
    default:
      return H5T_NATIVE_DOUBLE;
  }
}

void read_grid(hid_t dataset, Geometry& geometry, const std::string& place) {
  auto spacing = read_attribute(dataset, "spacing");
  const auto in_um = read_attribute(dataset, "element_size_um");
  if (spacing.empty() && in_um.size() == 3)
    spacing = {in_um[2] * 1e-3, in_um[1] * 1e-3, in_um[0] * 1e-3};
  const auto origin = read_attribute(dataset, "origin");
  const auto direction = read_attribute(dataset, "direction");
  const auto check = [&](const std::vector<double>& values, std::size_t count, const char* name) {
    if (values.empty() || values.size() == count) return !values.empty();
    throw geometry_error(fmt::format(
        "{}: attribute {}: expected {} numbers, got {}", place, name, count, values.size()));
  };
  geometry.spacing_known = check(spacing, 3, "spacing");
  if (geometry.spacing_known) geometry.spacing = {spacing[0], spacing[1], spacing[2]};
  if (check(origin, 3, "origin")) geometry.origin = {origin[0], origin[1], origin[2]};
  if (check(direction, 9, "direction")) {
    geometry.direction =
        Eigen::Map<const Eigen::Matrix<double, 3, 3, Eigen::RowMajor>>(direction.data());
  }
}

class Hdf5Reader final : public ImageReader {
 public:
  Hdf5Reader(const fs::path& path, const std::string& wanted) {
    const Hdf5Lock lock;
    file_ = open_hdf5_file(path);
    const Hdf5Dataset chosen = choose_dataset(file_, path, wanted);
    place_ = fmt::format("{}:{}", path.string(), chosen.path);
    if (!chosen.is_image()) {
      throw data_error(fmt::format(
          "{}: expected numbers with 2 to 4 axes, got {}", place_, dataset_names({chosen})));
    }
    dataset_ = Hdf5Handle(H5Dopen2(file_, chosen.path.c_str(), H5P_DEFAULT), H5Dclose);
    type_ = voxel_type_of(dataset_, place_);
    rank_ = chosen.shape.size();
    std::vector<std::int64_t> shape(4 - rank_, 1);
    shape.insert(shape.end(), chosen.shape.begin(), chosen.shape.end());
    header_.format = "hdf5";
    header_.channels = shape[0];
    header_.type = tensor_type(type_);
    header_.reads_regions = true;
    header_.geometry.shape = {shape[1], shape[2], shape[3]};
    read_grid(dataset_, header_.geometry, place_);
  }
  ~Hdf5Reader() override {
    const Hdf5Lock lock;
    dataset_.close();
    file_.close();
  }

  at::Tensor read(const Region& region) override {
    const Hdf5Lock lock;
    const std::array<hsize_t, 4> start{
        0, hsize_t(region.start[0]), hsize_t(region.start[1]), hsize_t(region.start[2])};
    const std::array<hsize_t, 4> count{hsize_t(header_.channels),
                                       hsize_t(region.size[0]),
                                       hsize_t(region.size[1]),
                                       hsize_t(region.size[2])};
    const std::size_t skipped = 4 - rank_;  // axes that the dataset lacks
    const Hdf5Handle in_file(H5Dget_space(dataset_), H5Sclose);
    const Hdf5Handle in_memory(
        H5Screate_simple(static_cast<int>(rank_), count.data() + skipped, nullptr), H5Sclose);
    H5Sselect_hyperslab(
        in_file, H5S_SELECT_SET, start.data() + skipped, nullptr, count.data() + skipped, nullptr);
    at::Tensor values =
        at::empty({header_.channels, region.size[0], region.size[1], region.size[2]}, header_.type);
    if (H5Dread(dataset_, memory_type(type_), in_memory, in_file, H5P_DEFAULT, values.data_ptr()) <
        0) {
      throw read_failed();
    }
    if (type_ == VoxelType::kUInt64 && values.numel() > 0 &&
        values.min().item<std::int64_t>() < 0) {
      throw data_error(
          fmt::format("{}: expected voxels below 2^63, got a larger uint64 value", place_));
    }
    return values;
  }

 private:
  Error read_failed() const {
    const std::string reason = hdf5_reason();
    const bool filter =
        reason.find("filter") != std::string::npos || reason.find("plugin") != std::string::npos;
    return io_error(fmt::format("{}: cannot be read: {}", place_, reason),
                    filter ? "install the compression filter: hdf5-filter-plugin, "
                             "hdf5-filter-plugin-blosc-serial or bitshuffle"
                           : "the file may be truncated or damaged");
  }

  Hdf5Handle file_;
  Hdf5Handle dataset_;
  std::string place_;
  VoxelType type_ = VoxelType::kUInt8;
  std::size_t rank_ = 3;
};

}  // namespace

std::unique_ptr<ImageReader> open_hdf5(const fs::path& file,
                                       const std::string& dataset,
                                       const ReadOptions&) {
  return std::make_unique<Hdf5Reader>(file, dataset);
}

}  // namespace triptych
