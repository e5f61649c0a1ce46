// SPDX-License-Identifier: Apache-2.0
// Raw scans as pictures: a folder with one file a projection or a detector row, a stack of pages,
// or one sinogram.
#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/image/io.h"
#include "framework/image/location.h"
#include "framework/image/natural_order.h"
#include "framework/image/raw_scan_format.h"

#include <algorithm>
#include <cctype>
#include <filesystem>

#include <ATen/ATen.h>
#include <fmt/core.h>

namespace triptych {
namespace {

namespace fs = std::filesystem;

/// Grey pictures of one size: the pages of one location, or one file each.
class PictureStack {
 public:
  PictureStack() = default;
  explicit PictureStack(const std::string& location) : locations_{location} {
    shape_ = grey_header(location).geometry.shape;
  }
  explicit PictureStack(std::vector<std::string> files) : locations_(std::move(files)) {
    if (locations_.empty()) return;
    for (const std::string& file : locations_) {
      const Index3 shape = grey_header(file).geometry.shape;
      if (shape_[0] == 0) shape_ = {1, shape[1], shape[2]};
      if (shape == shape_) continue;
      throw geometry_error(fmt::format("{}: expected one picture of {}x{} as {}, got {}x{}x{}",
                                       file,
                                       shape_[2],
                                       shape_[1],
                                       locations_.front(),
                                       shape[2],
                                       shape[1],
                                       shape[0]));
    }
    shape_[0] = static_cast<std::int64_t>(locations_.size());
  }

  /// [picture, row, column]; [0, 0, 0] of an empty stack.
  const Index3& shape() const { return shape_; }
  const std::string& first() const { return locations_.front(); }

  at::Tensor read(const Region& region) const {
    if (locations_.size() == 1) return read_region(first(), region).data[0].to(at::kFloat);
    at::Tensor result = at::empty({region.size[0], region.size[1], region.size[2]}, at::kFloat);
    for (std::int64_t i = 0; i < region.size[0]; ++i) {
      const Region part{{0, region.start[1], region.start[2]}, {1, region.size[1], region.size[2]}};
      result[i].copy_(read_region(locations_[region.start[0] + i], part).data[0][0]);
    }
    return result;
  }

 private:
  static VolumeHeader grey_header(const std::string& location) {
    VolumeHeader header = read_header(location);
    if (header.channels == 1) return header;
    throw data_error(
        fmt::format("{}: expected grey values, got {} channels", location, header.channels));
  }

  std::vector<std::string> locations_;
  Index3 shape_{0, 0, 0};
};

struct PictureFolder {
  std::vector<std::string> projections, flats, darks;
};

/// Sorts the pictures of a folder by what their names say, each kind in the order of its numbers.
PictureFolder sorted_pictures(const fs::path& folder) {
  PictureFolder found;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const fs::path& path = entry.path();
    std::string name = path.filename().string();
    if (!entry.is_regular_file() || name.starts_with('.') ||
        !is_picture_extension(file_extension(path)))
      continue;
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) {
      return static_cast<char>(std::tolower(c));
    });
    const auto has = [&](const char* word) { return name.find(word) != std::string::npos; };
    auto& kind = has("dark") || has("_dar")                   ? found.darks
                 : has("flat") || has("white") || has("_ref") ? found.flats
                                                              : found.projections;
    kind.push_back(path.string());
  }
  for (auto* files : {&found.projections, &found.flats, &found.darks})
    std::sort(files->begin(), files->end(), natural_less);
  if (found.projections.empty()) {
    throw io_error(fmt::format("{}: expected pictures of projections (.tif .png .jpg), got none",
                               folder.string()));
  }
  return found;
}

PictureStack stack_at(const std::string& location) {
  const Location parsed = parse_location(location);
  return parsed.kind == Location::Kind::kFolder
             ? PictureStack(sorted_pictures(parsed.path).projections)
             : PictureStack(location);
}

class ImageScan final : public RawScan {
 public:
  ImageScan(const std::string& location, const RawScanOptions& options) {
    const Location parsed = parse_location(location);
    if (parsed.kind == Location::Kind::kFolder) {
      PictureFolder folder = sorted_pictures(parsed.path);
      data_ = PictureStack(std::move(folder.projections));
      flats_ = PictureStack(std::move(folder.flats));
      darks_ = PictureStack(std::move(folder.darks));
    } else {
      data_ = PictureStack(location);
    }
    if (!options.flats.empty()) flats_ = stack_at(options.flats);
    if (!options.darks.empty()) darks_ = stack_at(options.darks);
    layout_ = options.layout;
    const Index3& shape = data_.shape();
    if (layout_ == "auto") layout_ = shape[0] == 1 ? "sinogram" : "projections";
    header_.place = location;
    header_.format = layout_ == "projections" ? "images of projections" : "sinograms";
    header_.projections = shape[angle_axis()];
    header_.rows = shape[row_axis()];
    header_.columns = shape[3 - angle_axis() - row_axis()];
    header_.flats = flats_.shape()[0];
    header_.darks = darks_.shape()[0];
    check_frames(flats_);
    check_frames(darks_);
    const VolumeHeader first = read_header(data_.first());
    if (first.geometry.spacing_known) header_.pixel_size_mm = first.geometry.spacing[0];
    if (first.type == at::kByte) header_.saturation = 255.0;
    if (first.type == at::kInt) header_.saturation = 65535.0;  // unsigned 16 bits read into 32
  }

 protected:
  at::Tensor read_rows(Frames kind, std::int64_t first_row, std::int64_t rows) override {
    if (kind != Frames::kProjections) {
      const PictureStack& stack = kind == Frames::kFlats ? flats_ : darks_;
      return stack.read({{0, first_row, 0}, {stack.shape()[0], rows, header_.columns}});
    }
    Region region{{0, 0, 0}, data_.shape()};
    region.start[row_axis()] = first_row;
    region.size[row_axis()] = rows;
    const int columns = 3 - angle_axis() - row_axis();
    return data_.read(region).permute({angle_axis(), row_axis(), columns});
  }

 private:
  int angle_axis() const { return layout_ == "projections" ? 0 : layout_ == "sinogram" ? 1 : 2; }
  int row_axis() const { return layout_ == "projections" ? 1 : 0; }

  void check_frames(const PictureStack& stack) const {
    const Index3& shape = stack.shape();
    if (shape[0] == 0 || (shape[1] == header_.rows && shape[2] == header_.columns)) return;
    throw geometry_error(fmt::format("{}: expected pictures of {}x{} as the detector, got {}x{}",
                                     stack.first(),
                                     header_.columns,
                                     header_.rows,
                                     shape[2],
                                     shape[1]));
  }

  PictureStack data_, flats_, darks_;
  std::string layout_;
};

}  // namespace

std::unique_ptr<RawScan> open_image_scan(const std::string& location,
                                         const RawScanOptions& options) {
  return std::make_unique<ImageScan>(location, options);
}

}  // namespace triptych
