// SPDX-License-Identifier: Apache-2.0
#include "framework/image/location.h"

#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/core/suggest.h"
#include "framework/image/io.h"

#include <algorithm>
#include <vector>

#include <fmt/core.h>

namespace triptych {
namespace {

namespace fs = std::filesystem;
using Words = std::vector<std::string>;

const Words& hdf5_extensions() {
  static const Words words{".h5", ".hdf5", ".hdf", ".nxs"};
  return words;
}

const Words& writable_extensions() {
  static const Words words{".nii",
                           ".nii.gz",
                           ".mha",
                           ".mhd",
                           ".nrrd",
                           ".nhdr",
                           ".seg.nrrd",
                           ".vtk",
                           ".png",
                           ".jpg",
                           ".jpeg",
                           ".tif",
                           ".tiff",
                           ".ome.tif",
                           ".ome.tiff"};
  return words;
}

const Words& readable_extensions() {
  static const Words words = [] {
    Words result = writable_extensions();
    result.insert(result.end(), {".hdr", ".dcm", ".ima"});
    return result;
  }();
  return words;
}

bool contains(const Words& words, const std::string& word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

void check_extension(const fs::path& file, const Words& known) {
  const std::string extension = file_extension(file);
  if (contains(known, extension)) return;
  Words all = known;
  all.insert(all.end(), hdf5_extensions().begin(), hdf5_extensions().end());
  throw io_error(fmt::format("{}: unknown image format, expected one of {}, got '{}'{}",
                             file.string(),
                             join(all, " "),
                             extension,
                             did_you_mean(extension, all)));
}

}  // namespace

Location parse_location(const std::string& text) {
  Location location;
  location.path = text;
  if (text.empty())
    throw io_error(
        "image location: expected a file, a folder or file.h5:/dataset, got an empty name");
  for (const std::string& extension : hdf5_extensions()) {
    const auto colon = text.find(extension + ":");
    if (colon == std::string::npos) continue;
    location.kind = Location::Kind::kHdf5;
    location.path = text.substr(0, colon + extension.size());
    location.dataset = text.substr(colon + extension.size() + 1);
    return location;
  }
  std::error_code code;
  if (text.back() == '/' || fs::is_directory(location.path, code)) {
    location.kind = Location::Kind::kFolder;
    if (!location.path.has_filename()) location.path = location.path.parent_path();
  } else if (contains(hdf5_extensions(), file_extension(location.path))) {
    location.kind = Location::Kind::kHdf5;
  }
  return location;
}

bool is_tiff_extension(const std::string& extension) {
  return extension == ".tif" || extension == ".tiff" || extension == ".ome.tif" ||
         extension == ".ome.tiff";
}

bool is_picture_extension(const std::string& extension) {
  return is_tiff_extension(extension) || extension == ".png" || extension == ".jpg" ||
         extension == ".jpeg";
}

void check_readable_extension(const fs::path& file) {
  check_extension(file, readable_extensions());
}

void check_writable_extension(const fs::path& file) {
  check_extension(file, writable_extensions());
}

bool is_image_location(const std::string& location) {
  if (location.empty()) return false;
  const Location parsed = parse_location(location);
  return parsed.kind != Location::Kind::kFile ||
         contains(readable_extensions(), file_extension(parsed.path));
}

}  // namespace triptych
