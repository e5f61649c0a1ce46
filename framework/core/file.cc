// SPDX-License-Identifier: Apache-2.0
#include "framework/core/file.h"

#include "framework/core/error.h"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>

#include <fcntl.h>
#include <unistd.h>

namespace triptych {
namespace fs = std::filesystem;
namespace {

void flush_to_disk(const fs::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY);
  if (descriptor < 0) return;
  const bool failed = ::fsync(descriptor) != 0 && errno != EINVAL && errno != EROFS;
  const int reason = errno;
  ::close(descriptor);
  if (failed)
    throw io_error(fmt::format("{}: cannot be written: {}", path.string(), std::strerror(reason)));
}

void move_folder(const fs::path& from, const fs::path& to) {
  std::error_code code;
  fs::rename(from, to, code);
  if (code) throw io_error(fmt::format("{}: cannot be written: {}", to.string(), code.message()));
}

void create_parent(const fs::path& target) {
  if (!target.parent_path().empty()) create_folder(target.parent_path());
}

}  // namespace

void create_folder(const fs::path& folder) {
  std::error_code code;
  fs::create_directories(folder, code);
  if (code) {
    throw io_error(
        fmt::format("{}: folder cannot be created: {}", folder.string(), code.message()));
  }
}

AtomicFile::AtomicFile(fs::path target) : target_(std::move(target)) {
  create_parent(target_);
  const std::string name = fmt::format(".{}.{}", ::getpid(), target_.filename().string());
  temporary_ = target_.parent_path() / name;
}

AtomicFile::~AtomicFile() {
  std::error_code ignored;
  if (!committed_) fs::remove(temporary_, ignored);
}

void AtomicFile::commit() {
  flush_to_disk(temporary_);
  std::error_code code;
  fs::rename(temporary_, target_, code);
  if (code) {
    throw io_error(fmt::format("{}: cannot be written: {}", target_.string(), code.message()));
  }
  committed_ = true;
}

void write_file_atomically(const fs::path& target, std::string_view bytes) {
  AtomicFile file(target);
  std::FILE* stream = std::fopen(file.temporary().c_str(), "wb");
  const bool opened = stream != nullptr;
  bool written = opened && std::fwrite(bytes.data(), 1, bytes.size(), stream) == bytes.size();
  int reason = errno;
  if (opened && std::fclose(stream) != 0) {
    if (written) reason = errno;
    written = false;
  }
  if (!written) {
    throw io_error(fmt::format("{}: cannot be written: {}", target.string(), std::strerror(reason)),
                   "check the free space and the permissions of its folder");
  }
  file.commit();
}

std::string read_file(const fs::path& path) {
  std::error_code code;
  if (fs::is_directory(path, code)) {
    throw io_error(fmt::format("{}: cannot be read: it is a folder", path.string()));
  }
  std::ifstream stream(path, std::ios::binary);
  if (!stream) {
    throw io_error(fmt::format("{}: cannot be read: {}", path.string(), std::strerror(errno)));
  }
  std::string bytes((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
  if (stream.bad()) throw io_error(fmt::format("{}: reading stopped half way", path.string()));
  return bytes;
}

void write_folder_atomically(const fs::path& target,
                             const std::function<void(const fs::path&)>& write) {
  create_parent(target);
  const std::string name = fmt::format(".{}.{}", ::getpid(), target.filename().string());
  const fs::path temporary = target.parent_path() / name;
  const fs::path previous = target.parent_path() / (name + ".previous");
  std::error_code ignored;
  fs::remove_all(temporary, ignored);
  create_folder(temporary);
  try {
    write(temporary);
    for (const auto& entry : fs::recursive_directory_iterator(temporary)) {
      if (entry.is_regular_file()) flush_to_disk(entry.path());
    }
    if (fs::exists(target)) {
      fs::remove_all(previous, ignored);  // of a killed process of the same number
      move_folder(target, previous);
    }
    move_folder(temporary, target);
  } catch (...) {
    if (!fs::exists(target, ignored)) fs::rename(previous, target, ignored);
    fs::remove_all(temporary, ignored);
    throw;
  }
  fs::remove_all(previous, ignored);
}

std::string file_extension(const fs::path& path) {
  std::string name = path.filename().string();
  std::transform(
      name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
  for (const char* compound :
       {".nii.gz", ".seg.nrrd", ".ome.tif", ".ome.tiff", ".mrk.json", ".img.gz"}) {
    if (name.size() > std::strlen(compound) && name.ends_with(compound)) return compound;
  }
  const auto dot = name.rfind('.');
  return dot == std::string::npos || dot == 0 ? "" : name.substr(dot);
}

}  // namespace triptych
