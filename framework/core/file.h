// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

namespace triptych {

/// A file that appears whole or not at all: written under a temporary name beside the target,
/// flushed to disk and renamed by `commit()`. Without a commit the temporary file is removed and
/// the target stays as it was.
class AtomicFile {
 public:
  /// Creates missing parent folders. `suffix` keeps the extension for writers that look at it
  /// (".nii.gz").
  explicit AtomicFile(std::filesystem::path target);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  /// Where to write; has the same extension as the target.
  const std::filesystem::path& temporary() const { return temporary_; }
  /// Flushes and renames; throws io_error naming the target when the disk is full or the folder is
  /// not writable.
  void commit();

 private:
  std::filesystem::path target_;
  std::filesystem::path temporary_;
  bool committed_ = false;
};

/// A folder and its missing parents; throws io_error when one cannot be created.
void create_folder(const std::filesystem::path& folder);

void write_file_atomically(const std::filesystem::path& target, std::string_view bytes);

/// The whole file; throws io_error `<path>: cannot be read: <reason>`.
std::string read_file(const std::filesystem::path& path);

/// Runs `write` on a temporary folder beside `target`, flushes its files and renames it, replacing
/// what was there.
void write_folder_atomically(const std::filesystem::path& target,
                             const std::function<void(const std::filesystem::path&)>& write);

/// Lower-case hexadecimal SHA-256 (FIPS 180-4).
std::string sha256(std::string_view bytes);
std::string sha256_of_file(const std::filesystem::path& path);

/// ".nii.gz", ".seg.nrrd" and ".ome.tif" count as one extension; lower case, with the dot, ""
/// without one.
std::string file_extension(const std::filesystem::path& path);

}  // namespace triptych
