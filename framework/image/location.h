// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>

namespace triptych {

/// A location as users write it, taken apart.
struct Location {
  enum class Kind { kFile, kFolder, kHdf5 };
  Kind kind = Kind::kFile;
  std::filesystem::path path;
  std::string dataset;  ///< path inside an HDF5 file, "" when not given
};

/// `file.h5:/path` and HDF5 extensions, folders (existing, or with '/' at the end), else a file.
/// Opens nothing.
Location parse_location(const std::string& text);

bool is_tiff_extension(const std::string& extension);
/// A file that holds one picture: PNG, JPEG or TIFF.
bool is_picture_extension(const std::string& extension);
/// Throw io_error listing the known extensions.
void check_readable_extension(const std::filesystem::path& file);
void check_writable_extension(const std::filesystem::path& file);

}  // namespace triptych
