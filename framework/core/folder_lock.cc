// SPDX-License-Identifier: Apache-2.0
#include "framework/core/folder_lock.h"

#include "framework/core/error.h"
#include "framework/core/file.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

namespace triptych {

FolderLock::FolderLock(const std::filesystem::path& folder) {
  create_folder(folder);
  const std::filesystem::path file = folder / ".lock";
  descriptor_ = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor_ < 0) {
    throw io_error(fmt::format("{}: cannot be written: {}", file.string(), std::strerror(errno)),
                   "check the free space and the permissions of its folder");
  }
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) return;
  ::close(descriptor_);
  throw io_error(fmt::format("{}: another process is writing to this folder", folder.string()),
                 "wait until it has ended, or name another folder");
}

FolderLock::~FolderLock() { ::close(descriptor_); }

}  // namespace triptych
