// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>

namespace triptych {

/// A folder that only this process writes to while the object lives; other processes that ask for
/// the same lock are refused. Ends with the process, however it ends (flock(2)).
class FolderLock {
 public:
  /// Creates the folder if need be. Throws io_error when another process holds its lock.
  explicit FolderLock(const std::filesystem::path& folder);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int descriptor_ = -1;
};

}  // namespace triptych
