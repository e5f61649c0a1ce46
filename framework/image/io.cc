// SPDX-License-Identifier: Apache-2.0
#include "framework/image/io.h"

#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/core/suggest.h"
#include "framework/image/format.h"
#include "framework/image/location.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include <ATen/ATen.h>
#include <fmt/core.h>

namespace triptych {
namespace {

namespace fs = std::filesystem;

/// "; did you mean 'x'?" with the names beside a missing file.
std::string nearest_neighbour(const fs::path& path) {
  std::vector<std::string> names;
  std::error_code code;
  const fs::path folder = path.parent_path().empty() ? fs::path(".") : path.parent_path();
  for (const auto& entry : fs::directory_iterator(folder, code))
    names.push_back(entry.path().filename().string());
  return did_you_mean(path.filename().string(), names);
}

void check_exists(const Location& location) {
  std::error_code code;
  const fs::path& path = location.path;
  if (!fs::exists(path, code)) {
    throw io_error(
        fmt::format("{}: no such file or folder{}", path.string(), nearest_neighbour(path)));
  }
  const bool folder = fs::is_directory(path, code);
  if (location.kind == Location::Kind::kFolder && !folder) {
    throw io_error(fmt::format("{}: expected a folder, got a file", path.string()));
  }
  if (!folder && !fs::is_regular_file(path, code)) {
    throw io_error(
        fmt::format("{}: expected a file or folder, got a pipe or device", path.string()));
  }
  if (!folder && fs::file_size(path, code) == 0) {
    throw io_error(
        fmt::format("{}: expected an image, got an empty file (0 bytes)", path.string()));
  }
}

std::unique_ptr<ImageReader> open_location(const std::string& text, const ReadOptions& options) {
  const Location location = parse_location(text);
  check_exists(location);
  if (location.kind == Location::Kind::kFolder) {
    return holds_dicom(location.path) ? open_dicom_series(location.path, options)
                                      : open_slice_stack(location.path, options);
  }
  if (location.kind == Location::Kind::kHdf5)
    return open_hdf5(location.path, location.dataset, options);
  return open_file(location.path, options);
}

/// Applies the spacing that the reader was told; two that contradict each other are an error, never
/// a choice.
void state_spacing(Geometry& geometry, const ReadOptions& options, const std::string& location) {
  if (!options.spacing_mm) return;
  const Eigen::Vector3d& stated = *options.spacing_mm;
  if (!(stated.array() > 0.0).all() || !stated.allFinite()) {
    throw geometry_error(
        fmt::format("spacing: expected three positive lengths in mm, got {:g} {:g} {:g}",
                    stated[0],
                    stated[1],
                    stated[2]));
  }
  if (!geometry.spacing_known) {
    geometry.spacing = stated;
    geometry.spacing_known = true;
    return;
  }
  for (int axis = 0; axis < 3; ++axis) {
    const double in_file = geometry.spacing[axis];
    if (geometry.shape[2 - axis] < 2 || std::abs(stated[axis] - in_file) <= 0.01 * in_file)
      continue;
    throw geometry_error(
        fmt::format(
            "{}: spacing along {} contradicts the file, expected {:g} mm, got spacing={:g} mm",
            location,
            "xyz"[axis],
            in_file,
            stated[axis]),
        "leave spacing= out, or correct the file");
  }
}

bool becomes_grey(std::int64_t channels, const ReadOptions& options) {
  return options.color == ColorMode::kGrey && channels > 1;
}

/// Rec. 601 luma of RGB or RGBA; the grey of grey and alpha.
at::Tensor to_grey(const at::Tensor& data, const std::string& location) {
  const std::int64_t channels = data.size(0);
  if (channels == 2) return data.narrow(0, 0, 1).contiguous();
  if (channels > 4) {
    throw data_error(
        fmt::format("{}: expected colours (3 or 4 channels) to turn into grey, got {} channels",
                    location,
                    channels),
        "read the channels as they are");
  }
  const at::Tensor weights =
      at::tensor({0.299, 0.587, 0.114}, at::kDouble).to(at::kFloat).view({3, 1, 1, 1});
  const at::Tensor luma = data.narrow(0, 0, 3).to(at::kFloat).mul(weights).sum(0, /*keepdim=*/true);
  return data.is_floating_point() ? luma.to(data.scalar_type())
                                  : luma.round().to(data.scalar_type());
}

VolumeHeader final_header(const ImageReader& reader,
                          const ReadOptions& options,
                          const std::string& location) {
  VolumeHeader header = reader.header();
  state_spacing(header.geometry, options, location);
  check_valid(header.geometry, location);
  if (becomes_grey(header.channels, options)) header.channels = 1;
  return header;
}

void check_inside(const Region& region, const Geometry& geometry, const std::string& location) {
  for (int axis = 0; axis < 3; ++axis) {
    if (region.start[axis] >= 0 && region.size[axis] >= 1 &&
        region.start[axis] + region.size[axis] <= geometry.shape[axis])
      continue;
    throw geometry_error(fmt::format("{}: expected a region inside 0..{} along {}, got {}..{}",
                                     location,
                                     geometry.shape[axis],
                                     "DHW"[axis],
                                     region.start[axis],
                                     region.start[axis] + region.size[axis]));
  }
}

Volume read_part(const std::string& location,
                 const std::optional<Region>& part,
                 const ReadOptions& options) {
  const auto reader = open_location(location, options);
  const VolumeHeader header = final_header(*reader, options, location);
  const Region region = part.value_or(Region{{0, 0, 0}, header.geometry.shape});
  check_inside(region, header.geometry, location);
  Volume volume;
  volume.data = reader->read(region);
  if (becomes_grey(volume.data.size(0), options)) volume.data = to_grey(volume.data, location);
  volume.geometry = part ? header.geometry.cropped(region) : header.geometry;
  volume.metadata = reader->metadata();
  volume.metadata["file"] = location;
  check_volume(volume, location);
  return volume;
}

/// Throws data_error naming the first value of a label map's part [.., d, h, w] that is no whole
/// number; `start` is where the part begins in the map.
void check_whole_numbers(const at::Tensor& data, const Index3& start, const std::string& location) {
  if (!data.is_floating_point()) return;
  const at::Tensor wrong = data.ne(data.round()).logical_or(data.isfinite().logical_not());
  if (wrong.any().item<bool>()) {
    const std::int64_t first = wrong.flatten().to(at::kByte).argmax().item<std::int64_t>();
    const std::int64_t height = data.size(-2);
    const std::int64_t width = data.size(-1);
    throw data_error(
        fmt::format(
            "{}: expected whole numbers in a label map, got {:g} at voxel (x {}, y {}, z {})",
            location,
            data.flatten()[first].item<double>(),
            start[2] + first % width,
            start[1] + first / width % height,
            start[0] + first / (width * height)),
        "is this an image instead of a label map?");
  }
}

/// The smallest integer type for a label map, after a look at all of it.
VoxelType label_type(const VolumeSource& labels, const std::string& location) {
  std::int64_t lowest = 0, highest = 0;
  for (const Region& slab : slabs_of(labels.geometry.shape, c10::elementSize(labels.type))) {
    const at::Tensor piece = labels.read(0, slab);
    check_whole_numbers(piece, slab.start, location);
    lowest = std::min(lowest, piece.min().to(at::kLong).item<std::int64_t>());
    highest = std::max(highest, piece.max().to(at::kLong).item<std::int64_t>());
  }
  return smallest_integer_type(lowest, highest);
}

void write(const std::string& text, const WriteRequest& request) {
  check_writable(text);
  const Location location = parse_location(text);
  check_valid(request.source.geometry, text);
  switch (location.kind) {
    case Location::Kind::kFolder:
      return write_slice_stack(location.path, request);
    case Location::Kind::kHdf5:
      return write_hdf5(location.path, location.dataset, request);
    case Location::Kind::kFile:
      break;
  }
  const std::string extension = file_extension(location.path);
  if (is_tiff_extension(extension)) return write_tiff(location.path, request);
  write_itk_file(location.path, request);
}

}  // namespace

std::unique_ptr<ImageReader> open_file(const fs::path& file, const ReadOptions& options) {
  const std::string extension = file_extension(file);
  check_readable_extension(file);
  return is_tiff_extension(extension) ? open_tiff(file, options) : open_itk_file(file, options);
}

VolumeHeader read_header(const std::string& location, const ReadOptions& options) {
  const auto reader = open_location(location, options);
  const VolumeHeader header = final_header(*reader, options, location);
  reader->check_complete();
  return header;
}

Volume read_volume(const std::string& location, const ReadOptions& options) {
  return read_part(location, std::nullopt, options);
}

Volume read_region(const std::string& location, const Region& region, const ReadOptions& options) {
  return read_part(location, region, options);
}

Volume read_labels(const std::string& location, const ReadOptions& options) {
  Volume volume = read_volume(location, options);
  if (volume.data.size(0) != 1) {
    throw data_error(
        fmt::format(
            "{}: expected one channel in a label map, got {}", location, volume.data.size(0)),
        "colour pictures and 4D series are no label maps");
  }
  check_whole_numbers(volume.data, {0, 0, 0}, location);
  volume.data = volume.data.to(at::kLong);
  return volume;
}

void check_writable(const std::string& text) {
  const Location location = parse_location(text);
  std::error_code code;
  // A folder is replaced as a whole, so it must be asked for in so many words.
  if (text.back() != '/' && fs::is_directory(location.path, code)) {
    throw io_error(fmt::format("{}: expected a file to write, got a folder", text),
                   "end the name with '/' for a folder of slices");
  }
  const bool file = location.kind == Location::Kind::kFile;
  if (file && !is_tiff_extension(file_extension(location.path)))
    check_writable_extension(location.path);
}

void write_volume(const std::string& location, const Volume& volume) {
  check_volume(volume, location);
  write_volume(location, source_of(volume));
}

void write_volume(const std::string& location, const VolumeSource& source) {
  write(location, {source, file_type(source.type)});
}

void write_labels(const std::string& location, const Volume& labels, const ClassTable& classes) {
  check_volume(labels, location);
  write_labels(location, source_of(labels), classes);
}

void write_labels(const std::string& location,
                  const VolumeSource& labels,
                  const ClassTable& classes) {
  if (labels.channels != 1) {
    throw data_error(fmt::format(
        "{}: expected one channel of labels to write, got {}", location, labels.channels));
  }
  write(location, {labels, label_type(labels, location), /*labels=*/true, &classes});
}

}  // namespace triptych
