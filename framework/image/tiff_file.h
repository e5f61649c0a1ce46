// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <Eigen/Core>

struct tiff;  // libtiff's TIFF

namespace triptych {

/// An open TIFF file whose errors become triptych::Error instead of lines on the terminal.
class TiffFile {
 public:
  explicit TiffFile(const std::filesystem::path& path);
  ~TiffFile();
  TiffFile(const TiffFile&) = delete;
  TiffFile& operator=(const TiffFile&) = delete;

  struct tiff* get() const {
    return tiff_;
  }
  std::string place() const { return path_.string(); }
  /// Directories of full-size images; thumbnails and masks are skipped.
  std::int64_t pages() const { return static_cast<std::int64_t>(directories_.size()); }
  void select(std::int64_t page);
  bool swapped() const;

  /// Throws io_error with libtiff's last message unless `success`.
  void check(bool success, const char* what) const;
  /// Every strip or tile of the current page ends inside the file.
  void check_data_inside() const;
  /// The first page's data are uncompressed and `bytes` follow their start.
  void check_contiguous(std::int64_t bytes) const;
  /// Bytes counted from the start of the first page's data.
  std::vector<std::byte> raw_bytes(std::int64_t offset, std::int64_t count) const;

 private:
  std::int64_t data_start() const;

  std::filesystem::path path_;
  struct tiff* tiff_ = nullptr;
  std::vector<std::uint64_t>
      directories_;  ///< file offsets, so that page n needs no walk over n directories
};

/// What ImageJ's description and the resolution tags say about a stack.
struct ImageJLayout {
  std::int64_t slices = 1;
  std::int64_t channels = 1;               ///< pages a slice, fastest
  std::optional<Eigen::Vector3d> spacing;  ///< mm; none unless a unit of length is stated
};

/// Without a description every page is a slice.
ImageJLayout imagej_layout(const TiffFile& file, std::int64_t pages);

/// Sends libtiff's messages to a place of this thread; once.
void silence_libtiff();
/// The last message of libtiff in this thread.
std::string last_tiff_message();

}  // namespace triptych
