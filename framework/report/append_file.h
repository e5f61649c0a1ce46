// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string_view>

namespace triptych {

/// A file that only grows, by whole records.
///
/// A record reaches the kernel in one call, so that a killed process leaves at most one torn
/// record, at the very end. A record that does not fit on the disk is taken back and throws
/// io_error.
class AppendFile {
 public:
  /// Opens for appending; creates the file and missing parent folders.
  explicit AppendFile(std::filesystem::path path);
  ~AppendFile();
  AppendFile(const AppendFile&) = delete;
  AppendFile& operator=(const AppendFile&) = delete;

  void append(std::string_view record);
  /// Waits until everything appended is on the disk.
  void sync();
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
};

}  // namespace triptych
