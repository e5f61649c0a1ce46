// SPDX-License-Identifier: Apache-2.0
#include "framework/image/file_end.h"

#include "framework/core/error.h"
#include "framework/image/byte_stream.h"

#include <algorithm>
#include <string>
#include <string_view>

#include <fmt/core.h>
#include <gdcmImageHelper.h>
#include <gdcmReader.h>

namespace triptych {
namespace {

namespace fs = std::filesystem;

std::string bytes_at(const fs::path& file, std::int64_t offset, std::int64_t count) {
  std::string bytes(count, '\0');
  ByteStream stream(file, offset, Coding::kRaw);
  bytes.resize(stream.read(reinterpret_cast<std::byte*>(bytes.data()), count));
  return bytes;
}

Error truncated(const fs::path& file, const std::string& expected, std::int64_t got) {
  return io_error(
      fmt::format("{}: truncated, expected {}, got {} bytes", file.string(), expected, got),
      "copy or download the file again");
}

void check_start(const fs::path& file, std::string_view mark, const char* format) {
  if (bytes_at(file, 0, static_cast<std::int64_t>(mark.size())) == mark) return;
  throw io_error(
      fmt::format("{}: not a {} file, expected its mark in the first bytes", file.string(), format),
      "check the extension");
}

void check_end(const fs::path& file,
               std::string_view mark,
               std::int64_t within,
               const char* format) {
  const auto size = static_cast<std::int64_t>(fs::file_size(file));
  const std::int64_t count = std::min(size, within);
  if (bytes_at(file, size - count, count).find(mark) != std::string::npos) return;
  throw truncated(file, fmt::format("the end mark of {}", format), size);
}

}  // namespace

void check_png_marks(const fs::path& file) {
  check_start(file, "\x89PNG\r\n\x1a\n", "PNG");
  check_end(file, "IEND\xae\x42\x60\x82", 1024, "PNG");
}

void check_jpeg_marks(const fs::path& file) {
  check_start(file, "\xff\xd8", "JPEG");
  // Cameras append a little after the mark; a thumbnail's own mark lies further ahead than this.
  check_end(file, "\xff\xd9", 4096, "JPEG");
}

void check_dicom_pixels(const fs::path& file) {
  gdcm::Reader reader;
  reader.SetFileName(file.c_str());
  const auto size = static_cast<std::int64_t>(fs::file_size(file));
  const gdcm::Tag pixel_data(0x7fe0, 0x0010);
  // Skipping the pixels leaves the stream behind their length, in front of their first byte.
  if (!reader.ReadUpToTag(pixel_data, {pixel_data})) throw truncated(file, "a DICOM header", size);
  const gdcm::TransferSyntax& syntax = reader.GetFile().GetHeader().GetDataSetTransferSyntax();
  if (syntax.IsEncapsulated())
    return check_end(file, "\xfe\xff\xdd\xe0", 1024, "compressed DICOM pixels");
  const auto start = static_cast<std::int64_t>(reader.GetStreamCurrentPosition());
  std::int64_t expected = gdcm::ImageHelper::GetPixelFormatValue(reader.GetFile()).GetPixelSize();
  for (const unsigned count : gdcm::ImageHelper::GetDimensionsValue(reader.GetFile()))
    expected *= count;
  if (size - start < expected) {
    throw io_error(fmt::format("{}: truncated, expected {} bytes of pixels, got {}",
                               file.string(),
                               expected,
                               std::max<std::int64_t>(0, size - start)),
                   "copy or download the file again");
  }
}

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
