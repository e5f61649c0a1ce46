// SPDX-License-Identifier: Apache-2.0
#include "framework/image/file_end.h"

#include "framework/core/error.h"
#include "framework/image/byte_stream.h"

#include <algorithm>
#include <string>
#include <string_view>

#include <fmt/core.h>

namespace triptych {
namespace {

namespace fs = std::filesystem;

std::string bytes_at(const fs::path& file, std::int64_t offset, std::int64_t count) {
  std::string bytes(count, '\0');
  ByteStream stream(file, offset, Coding::kRaw);
  bytes.resize(stream.read(reinterpret_cast<std::byte*>(bytes.data()), count));
  return bytes;
}

void check_mark(const fs::path& file,
                std::string_view mark,
                std::int64_t within,
                const char* name) {
  const auto size = static_cast<std::int64_t>(fs::file_size(file));
  const std::int64_t count = std::min(size, within);
  if (bytes_at(file, size - count, count).find(mark) != std::string::npos) return;
  throw io_error(fmt::format("{}: truncated, expected a {} end mark, got {} bytes without it",
                             file.string(),
                             name,
                             size),
                 "copy or download the file again");
}

}  // namespace

void check_png_end(const fs::path& file) { check_mark(file, "IEND", 1024, "PNG"); }

// Cameras append a little after the mark; a thumbnail's own mark lies further ahead than this.
void check_jpeg_end(const fs::path& file) { check_mark(file, "\xff\xd9", 4096, "JPEG"); }

void check_vtk_size(const fs::path& file, std::int64_t voxel_bytes) {
  const std::string start = bytes_at(file, 0, 4096);
  const auto mark = start.find("LOOKUP_TABLE") != std::string::npos ? start.find("LOOKUP_TABLE")
                                                                    : start.find("POINT_DATA");
  if (start.find("\nBINARY") == std::string::npos || mark == std::string::npos) return;
  const auto header = static_cast<std::int64_t>(start.find('\n', mark) + 1);
  const std::int64_t got = static_cast<std::int64_t>(fs::file_size(file)) - header;
  if (got >= voxel_bytes) return;
  throw io_error(fmt::format("{}: truncated, expected {} bytes of voxels, got {}",
                             file.string(),
                             voxel_bytes,
                             std::max<std::int64_t>(0, got)),
                 "copy or download the file again");
}

}  // namespace triptych
