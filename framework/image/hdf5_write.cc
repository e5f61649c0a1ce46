// SPDX-License-Identifier: Apache-2.0
#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/image/format.h"
#include "framework/image/hdf5_file.h"

#include <algorithm>

#include <ATen/ATen.h>
#include <fmt/core.h>

namespace triptych {
namespace {

namespace fs = std::filesystem;

constexpr hsize_t kChunk = 64;  // voxels along each axis; a whole slice when there is but one
constexpr std::int64_t kPieceVoxels = 1 << 22;
constexpr unsigned kDeflateLevel = 4;

hid_t file_type_of(VoxelType type) {
  switch (type) {
    case VoxelType::kUInt8:
      return H5T_STD_U8LE;
    case VoxelType::kInt8:
      return H5T_STD_I8LE;
    case VoxelType::kUInt16:
      return H5T_STD_U16LE;
    case VoxelType::kInt16:
      return H5T_STD_I16LE;
    case VoxelType::kUInt32:
      return H5T_STD_U32LE;
    case VoxelType::kInt32:
      return H5T_STD_I32LE;
    case VoxelType::kUInt64:
      return H5T_STD_U64LE;
    case VoxelType::kInt64:
      return H5T_STD_I64LE;
    case VoxelType::kFloat32:
      return H5T_IEEE_F32LE;
    default:
      return H5T_IEEE_F64LE;
  }
}

hid_t memory_type_of(VoxelType type) {
  switch (type) {
    case VoxelType::kUInt8:
      return H5T_NATIVE_UINT8;
    case VoxelType::kInt8:
      return H5T_NATIVE_INT8;
    case VoxelType::kUInt16:
      return H5T_NATIVE_UINT16;
    case VoxelType::kInt16:
      return H5T_NATIVE_INT16;
    case VoxelType::kUInt32:
      return H5T_NATIVE_UINT32;
    case VoxelType::kInt32:
      return H5T_NATIVE_INT32;
    case VoxelType::kUInt64:
      return H5T_NATIVE_UINT64;
    case VoxelType::kInt64:
      return H5T_NATIVE_INT64;
    case VoxelType::kFloat32:
      return H5T_NATIVE_FLOAT;
    default:
      return H5T_NATIVE_DOUBLE;
  }
}

/// Writes into an HDF5 file that is not yet under its final name.
class Hdf5Writer {
 public:
  Hdf5Writer(const fs::path& temporary, bool exists, std::string place) : place_(std::move(place)) {
    file_ = exists
                ? Hdf5Handle(H5Fopen(temporary.c_str(), H5F_ACC_RDWR, H5P_DEFAULT), H5Fclose)
                : Hdf5Handle(H5Fcreate(temporary.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT),
                             H5Fclose);
    if (exists && !file_.valid()) {
      throw io_error(
          fmt::format("{}: cannot be written: the file exists and is no sound HDF5 file ({})",
                      place_,
                      hdf5_reason()),
          "remove it first");
    }
    check(file_.valid());
  }

  void write(const std::string& path, const WriteRequest& request) {
    remove(path);
    const VolumeSource& source = request.source;
    std::vector<hsize_t> shape(source.geometry.shape.begin(), source.geometry.shape.end());
    if (source.channels > 1) shape.insert(shape.begin(), source.channels);
    const Hdf5Handle space(H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr),
                           H5Sclose);
    const Hdf5Handle links(H5Pcreate(H5P_LINK_CREATE), H5Pclose);
    H5Pset_create_intermediate_group(links, 1);
    const Hdf5Handle layout = chunked_layout(shape);
    Hdf5Handle dataset(
        H5Dcreate2(
            file_, path.c_str(), file_type_of(request.type), space, links, layout, H5P_DEFAULT),
        H5Dclose);
    check(dataset.valid());
    for (std::int64_t channel = 0; channel < source.channels; ++channel) {
      for (const Region& region : whole_chunks(source.geometry.shape))
        write_piece(dataset, space, request, channel, region);
    }
    write_grid(dataset, source.geometry);
    check(dataset.close());
    check(H5Fflush(file_, H5F_SCOPE_GLOBAL) >= 0);
    check(file_.close());
  }

 private:
  /// Pieces that no chunk lies across, so that each chunk is compressed once.
  static std::vector<Region> whole_chunks(const Index3& shape) {
    if (shape[0] == 1) return {{{0, 0, 0}, shape}};
    const auto chunk = static_cast<std::int64_t>(kChunk);
    const std::int64_t chunks =
        std::max<std::int64_t>(1, kPieceVoxels / (chunk * chunk * shape[2]));
    std::vector<Region> regions;
    for (std::int64_t z = 0; z < shape[0]; z += chunk) {
      for (std::int64_t y = 0; y < shape[1]; y += chunk * chunks) {
        regions.push_back(
            {{z, y, 0},
             {std::min(chunk, shape[0] - z), std::min(chunk * chunks, shape[1] - y), shape[2]}});
      }
    }
    return regions;
  }

  void write_piece(hid_t dataset,
                   hid_t space,
                   const WriteRequest& request,
                   std::int64_t channel,
                   const Region& region) const {
    const at::Tensor voxels = encoded_piece(request, channel, region, place_);
    std::vector<hsize_t> start(region.start.begin(), region.start.end());
    std::vector<hsize_t> size(region.size.begin(), region.size.end());
    if (request.source.channels > 1) {
      start.insert(start.begin(), static_cast<hsize_t>(channel));
      size.insert(size.begin(), 1);
    }
    const Hdf5Handle piece(H5Screate_simple(static_cast<int>(size.size()), size.data(), nullptr),
                           H5Sclose);
    check(H5Sselect_hyperslab(space, H5S_SELECT_SET, start.data(), nullptr, size.data(), nullptr) >=
          0);
    check(
        H5Dwrite(
            dataset, memory_type_of(request.type), piece, space, H5P_DEFAULT, voxels.data_ptr()) >=
        0);
  }

  void remove(const std::string& path) {
    if (!link_exists(path)) return;
    const Hdf5Handle object(H5Oopen(file_, path.c_str(), H5P_DEFAULT), H5Oclose);
    if (H5Iget_type(object) != H5I_DATASET) {
      throw io_error(fmt::format("{}: expected a dataset to replace, got a group", place_));
    }
    check(H5Ldelete(file_, path.c_str(), H5P_DEFAULT) >= 0);
  }

  /// HDF5 can ask for the last link of a path only when all before it exist.
  bool link_exists(const std::string& path) const {
    for (auto slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
      if (H5Lexists(file_, path.substr(0, slash).c_str(), H5P_DEFAULT) <= 0) return false;
      if (slash == std::string::npos) return true;
    }
  }

  static Hdf5Handle chunked_layout(const std::vector<hsize_t>& shape) {
    std::vector<hsize_t> chunk(shape.size(), 1);
    const std::size_t space = shape.size() - 3;
    const bool flat = shape[space] == 1;
    for (std::size_t axis = space; axis < shape.size(); ++axis) {
      chunk[axis] = std::min(shape[axis], flat ? 8 * kChunk : kChunk);
    }
    Hdf5Handle layout(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
    H5Pset_chunk(layout, static_cast<int>(chunk.size()), chunk.data());
    H5Pset_shuffle(layout);
    H5Pset_deflate(layout, kDeflateLevel);
    return layout;
  }

  static void write_grid(hid_t dataset, const Geometry& geometry) {
    const auto vector = [](const Eigen::Vector3d& v) {
      return std::vector<double>{v[0], v[1], v[2]};
    };
    if (geometry.spacing_known) write_attribute(dataset, "spacing", vector(geometry.spacing), {3});
    write_attribute(dataset, "origin", vector(geometry.origin), {3});
    const Eigen::Matrix<double, 3, 3, Eigen::RowMajor> rows = geometry.direction;
    write_attribute(
        dataset, "direction", std::vector<double>(rows.data(), rows.data() + 9), {3, 3});
    write_attribute(dataset,
                    "frame",
                    "LPS, mm; spacing and origin in the order x y z; voxels in the order z y x");
  }

  void check(bool success) const {
    if (success) return;
    throw io_error(fmt::format("{}: cannot be written: {}", place_, hdf5_reason()),
                   "check the free space and the permissions of its folder");
  }

  std::string place_;
  Hdf5Handle file_;
};

}  // namespace

void write_hdf5(const fs::path& target, const std::string& dataset, const WriteRequest& request) {
  const Hdf5Lock lock;
  const std::string path = dataset.empty() ? std::string(request.labels ? "/labels" : "/image")
                           : dataset.starts_with('/') ? dataset
                                                      : "/" + dataset;
  AtomicFile file(target);
  const bool exists = fs::exists(target);
  if (exists) {  // other datasets of the file stay
    std::error_code code;
    fs::copy_file(target, file.temporary(), fs::copy_options::overwrite_existing, code);
    if (code)
      throw io_error(fmt::format("{}: cannot be written: {}", target.string(), code.message()),
                     "check the free space of its disk");
    fs::permissions(file.temporary(), fs::perms::owner_write, fs::perm_options::add, code);
  }
  Hdf5Writer(file.temporary(), exists, fmt::format("{}:{}", target.string(), path))
      .write(path, request);
  file.commit();
}

}  // namespace triptych
