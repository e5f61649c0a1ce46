// SPDX-License-Identifier: Apache-2.0
#include "framework/report/append_file.h"

#include "framework/core/error.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace triptych {
namespace {

Error cannot_write(const std::filesystem::path& path, int reason) {
  return io_error(fmt::format("{}: cannot be written: {}", path.string(), std::strerror(reason)),
                  "check the free space and the permissions of its folder");
}

}  // namespace

AppendFile::AppendFile(std::filesystem::path path) : path_(std::move(path)) {
  if (path_.has_parent_path()) {
    std::error_code code;
    std::filesystem::create_directories(path_.parent_path(), code);
    if (code) throw cannot_write(path_.parent_path(), code.value());
  }
  descriptor_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (descriptor_ < 0) throw cannot_write(path_, errno);
}

AppendFile::~AppendFile() { ::close(descriptor_); }

void AppendFile::append(std::string_view record) {
  struct stat before {};
  if (::fstat(descriptor_, &before) != 0) throw cannot_write(path_, errno);
  std::string_view rest = record;
  while (!rest.empty()) {
    const ssize_t written = ::write(descriptor_, rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      const int reason = errno;
      // Best effort: the disk may be full, but giving space back needs none.
      if (::ftruncate(descriptor_, before.st_size) != 0) throw cannot_write(path_, reason);
      throw cannot_write(path_, reason);
    }
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
}

void AppendFile::sync() {
  // EINVAL: pipes and some special files cannot be synchronised.
  if (::fsync(descriptor_) != 0 && errno != EINVAL && errno != EROFS)
    throw cannot_write(path_, errno);
}

}  // namespace triptych
