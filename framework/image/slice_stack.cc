// SPDX-License-Identifier: Apache-2.0
// A folder of 2D pictures, one a slice, ordered by the numbers in their names.
#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/core/suggest.h"
#include "framework/image/format.h"
#include "framework/image/location.h"
#include "framework/image/natural_order.h"
#include "framework/image/sidecar.h"

#include <algorithm>
#include <map>
#include <vector>

#include <ATen/ATen.h>
#include <fmt/core.h>

namespace triptych {
namespace {

namespace fs = std::filesystem;

/// The slices of a folder in order; all of one format.
std::vector<fs::path> find_slices(const fs::path& folder) {
  std::map<std::string, std::vector<fs::path>> by_format;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (!entry.is_regular_file() || entry.path().filename().string().starts_with('.')) continue;
    const std::string extension = file_extension(entry.path());
    if (!is_picture_extension(extension)) continue;
    by_format[is_tiff_extension(extension) ? ".tif"
              : extension == ".jpeg"       ? ".jpg"
                                           : extension]
        .push_back(entry.path());
  }
  if (by_format.empty()) {
    throw io_error(
        fmt::format("{}: expected a folder of slices (.tif .png .jpg) or DICOM files, got none",
                    folder.string()),
        "name the file when the folder holds volumes");
  }
  if (by_format.size() > 1) {
    std::vector<std::string> counts;
    for (const auto& [extension, files] : by_format)
      counts.push_back(fmt::format("{} {}", files.size(), extension));
    throw data_error(
        fmt::format("{}: expected slices of one format, got {}", folder.string(), join(counts)),
        "move the others to a folder of their own");
  }
  std::vector<fs::path>& files = by_format.begin()->second;
  std::sort(files.begin(), files.end(), [](const fs::path& a, const fs::path& b) {
    return natural_less(a.filename().string(), b.filename().string());
  });
  return files;
}

/// Writing replaces the folder, so one with anything but slices in it is left alone.
void check_replaceable(const fs::path& folder) {
  std::error_code code;
  if (fs::exists(folder, code) && !fs::is_directory(folder, code)) {
    throw io_error(
        fmt::format("{}: expected a folder to write slices to, got a file", folder.string()));
  }
  for (const auto& entry : fs::directory_iterator(folder, code)) {
    const fs::path& path = entry.path();
    if (entry.is_regular_file() &&
        (is_picture_extension(file_extension(path)) || path.stem() == "spacing"))
      continue;
    throw io_error(fmt::format("{}: expected an empty folder or one of slices to replace, got {}",
                               folder.string(),
                               path.filename().string()),
                   "name another folder");
  }
}

class SliceStackReader final : public ImageReader {
 public:
  SliceStackReader(const fs::path& folder, const ReadOptions& options)
      : folder_(folder), slices_(find_slices(folder)) {
    options_.color = options.color;
    const auto first = open_slice(0);
    header_ = first->header();
    header_.format = "slices";
    header_.reads_regions = true;
    header_.geometry.shape[0] = static_cast<std::int64_t>(slices_.size());
    // A slice may know its pixel size, but never the distance to the next one.
    if (slices_.size() > 1) {
      header_.geometry.spacing_known = false;
      header_.geometry.spacing.setOnes();
    }
    if (const auto sidecar = sidecar_of_folder(folder))
      apply_sidecar(*sidecar, header_.geometry, folder.string());
  }

  at::Tensor read(const Region& region) override {
    const auto& size = region.size;
    at::Tensor result = at::empty({header_.channels, size[0], size[1], size[2]}, header_.type);
    const Region part{{0, region.start[1], region.start[2]}, {1, size[1], size[2]}};
    for (std::int64_t z = 0; z < size[0]; ++z) {
      const auto slice = open_slice(region.start[0] + z);
      check_fits(*slice, slices_[region.start[0] + z]);
      result.narrow(1, z, 1).copy_(slice->read(part));
    }
    return result;
  }

  void check_complete() override {
    for (std::size_t z = 0; z < slices_.size(); ++z) {
      const auto slice = open_slice(z);
      check_fits(*slice, slices_[z]);
      slice->check_complete();
    }
  }

 private:
  std::unique_ptr<ImageReader> open_slice(std::size_t index) const {
    const fs::path& file = slices_[index];
    if (fs::file_size(file) == 0)
      throw io_error(
          fmt::format("{}: expected a slice, got an empty file (0 bytes)", file.string()));
    auto reader = open_file(file, options_);
    const std::int64_t pages = reader->header().geometry.shape[0];
    if (pages != 1)
      throw data_error(
          fmt::format("{}: expected one slice a file, got {} pages", file.string(), pages));
    return reader;
  }

  void check_fits(const ImageReader& slice, const fs::path& file) const {
    const VolumeHeader& got = slice.header();
    const auto& expected = header_.geometry.shape;
    const std::string first = slices_.front().filename().string();
    if (got.geometry.shape[1] != expected[1] || got.geometry.shape[2] != expected[2]) {
      throw geometry_error(fmt::format("{}: slice of another size, expected {}x{} as {}, got {}x{}",
                                       file.string(),
                                       expected[2],
                                       expected[1],
                                       first,
                                       got.geometry.shape[2],
                                       got.geometry.shape[1]));
    }
    if (got.channels != header_.channels || got.type != header_.type) {
      throw data_error(
          fmt::format("{}: slice of another type, expected {} channels of {} as {}, got {} of {}",
                      file.string(),
                      header_.channels,
                      at::toString(header_.type),
                      first,
                      got.channels,
                      at::toString(got.type)));
    }
  }

  fs::path folder_;
  std::vector<fs::path> slices_;
  ReadOptions options_;
};

}  // namespace

std::unique_ptr<ImageReader> open_slice_stack(const fs::path& folder, const ReadOptions& options) {
  return std::make_unique<SliceStackReader>(folder, options);
}

void write_slice_stack(const fs::path& folder, const WriteRequest& request) {
  const VolumeSource& source = request.source;
  check_replaceable(folder);
  write_folder_atomically(folder, [&](const fs::path& temporary) {
    VolumeSource slice{{}, source.channels, source.type, {}};
    // Slices carry no place of their own: spacing.json says it once for all.
    slice.geometry.shape = {1, source.geometry.shape[1], source.geometry.shape[2]};
    slice.geometry.spacing_known = false;
    for (std::int64_t z = 0; z < source.geometry.shape[0]; ++z) {
      slice.read = [&source, z](std::int64_t channel, Region region) {
        region.start[0] += z;
        return source.read(channel, region);
      };
      const WriteRequest one{slice, request.type, request.labels, request.classes};
      write_tiff(temporary / fmt::format("slice_{:05}.tif", z), one);
    }
    write_file_atomically(temporary / "spacing.json", sidecar_text(source.geometry));
  });
}

}  // namespace triptych
