// SPDX-License-Identifier: Apache-2.0
#include "framework/image/tiff_file.h"

#include "framework/core/error.h"
#include "framework/image/byte_stream.h"

#include <algorithm>
#include <array>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <sstream>

#include <fmt/core.h>
#include <tiffio.h>

namespace triptych {
namespace {

namespace fs = std::filesystem;

thread_local std::string last_message;

void keep_message(const char* /*module*/, const char* format, va_list arguments) {
  std::array<char, 400> text{};
  std::vsnprintf(text.data(), text.size(), format, arguments);
  last_message = text.data();
}

/// Directories of full-size images and where they lie.
std::vector<std::uint64_t> full_size_directories(TIFF* tiff) {
  std::vector<std::uint64_t> offsets;
  do {
    std::uint32_t kind = 0;
    TIFFGetField(tiff, TIFFTAG_SUBFILETYPE, &kind);
    const bool full_size = (kind & (FILETYPE_REDUCEDIMAGE | FILETYPE_MASK)) == 0;
    if (full_size) offsets.push_back(TIFFCurrentDirOffset(tiff));
  } while (TIFFReadDirectory(tiff) != 0);
  return offsets;
}

std::map<std::string, std::string> description_fields(TIFF* tiff) {
  std::map<std::string, std::string> fields;
  const char* text = nullptr;
  if (TIFFGetField(tiff, TIFFTAG_IMAGEDESCRIPTION, &text) == 0 || text == nullptr) return fields;
  std::istringstream stream{std::string(text)};
  std::string line;
  if (!std::getline(stream, line) || !line.starts_with("ImageJ=")) return fields;
  fields["ImageJ"] = line;
  while (std::getline(stream, line)) {
    const auto equals = line.find('=');
    if (equals != std::string::npos) fields[line.substr(0, equals)] = line.substr(equals + 1);
  }
  return fields;
}

/// Millimetres of one unit of ImageJ; none for pixels and what is no length.
std::optional<double> unit_mm(const std::string& unit) {
  static const std::map<std::string, double> units{{"mm", 1.0},
                                                   {"millimeter", 1.0},
                                                   {"um", 1e-3},
                                                   {"micron", 1e-3},
                                                   {"microns", 1e-3},
                                                   {"\\u00B5m", 1e-3},
                                                   {"\xc2\xb5m", 1e-3},
                                                   {"\xb5m", 1e-3},
                                                   {"nm", 1e-6},
                                                   {"cm", 10.0},
                                                   {"m", 1000.0},
                                                   {"inch", 25.4}};
  const auto found = units.find(unit);
  return found == units.end() ? std::nullopt : std::optional(found->second);
}

std::optional<Eigen::Vector3d> imagej_spacing(TIFF* tiff,
                                              const std::map<std::string, std::string>& fields,
                                              std::int64_t slices) {
  const auto unit = fields.find("unit");
  if (unit == fields.end()) return std::nullopt;
  const auto length = unit_mm(unit->second);
  float x = 0.0f;
  float y = 0.0f;
  TIFFGetField(tiff, TIFFTAG_XRESOLUTION, &x);
  TIFFGetField(tiff, TIFFTAG_YRESOLUTION, &y);
  const auto step = fields.find("spacing");
  const double z = step == fields.end() ? 0.0 : std::strtod(step->second.c_str(), nullptr);
  if (!length || !(x > 0.0f) || !(y > 0.0f) || (slices > 1 && !(z > 0.0))) return std::nullopt;
  return Eigen::Vector3d(*length / x, *length / y, z > 0.0 ? *length * z : 1.0);
}

}  // namespace

void silence_libtiff() {
  static std::once_flag once;
  std::call_once(once, [] {
    TIFFSetErrorHandler(keep_message);
    TIFFSetWarningHandler(nullptr);  // private tags of microscopes are no news
  });
}

std::string last_tiff_message() { return last_message; }

TiffFile::TiffFile(const fs::path& path) : path_(path) {
  silence_libtiff();
  last_message.clear();
  tiff_ =
      TIFFOpen(path.c_str(), "rm");  // m: no memory map, so a truncated file cannot raise SIGBUS
  if (tiff_ == nullptr) {
    throw io_error(fmt::format("{}: cannot be read as TIFF: {}", path.string(), last_message),
                   "the file may be truncated or have the wrong extension");
  }
  last_message.clear();
  directories_ = full_size_directories(tiff_);
  if (!last_message.empty() || directories_.empty()) {
    TIFFClose(tiff_);
    throw io_error(
        fmt::format("{}: damaged or truncated TIFF directory: {}", path.string(), last_message),
        "copy or download the file again");
  }
  TIFFSetSubDirectory(tiff_, directories_.front());
}

TiffFile::~TiffFile() { TIFFClose(tiff_); }

void TiffFile::select(std::int64_t page) {
  const std::uint64_t offset = directories_[page];
  if (TIFFCurrentDirOffset(tiff_) != offset)
    check(TIFFSetSubDirectory(tiff_, offset) != 0, "directory");
}

bool TiffFile::swapped() const { return TIFFIsByteSwapped(tiff_) != 0; }

void TiffFile::check(bool success, const char* what) const {
  if (success) return;
  throw io_error(
      fmt::format(
          "{}: truncated or damaged, a {} cannot be read: {}", path_.string(), what, last_message),
      "copy or download the file again");
}

void TiffFile::check_data_inside() const {
  const auto size = fs::file_size(path_);
  const bool tiled = TIFFIsTiled(tiff_) != 0;
  const std::uint32_t count = tiled ? TIFFNumberOfTiles(tiff_) : TIFFNumberOfStrips(tiff_);
  for (std::uint32_t part = 0; part < count; ++part) {
    const std::uint64_t end =
        TIFFGetStrileOffset(tiff_, part) + TIFFGetStrileByteCount(tiff_, part);
    if (end <= size) continue;
    throw io_error(
        fmt::format("{}: truncated, expected at least {} bytes, got {}", path_.string(), end, size),
        "copy or download the file again");
  }
}

std::int64_t TiffFile::data_start() const {
  return static_cast<std::int64_t>(TIFFGetStrileOffset(tiff_, 0));
}

void TiffFile::check_contiguous(std::int64_t bytes) const {
  std::uint16_t compression = COMPRESSION_NONE;
  TIFFGetFieldDefaulted(tiff_, TIFFTAG_COMPRESSION, &compression);
  const auto got = static_cast<std::int64_t>(fs::file_size(path_)) - data_start();
  // ImageJ puts the directory first; one inside the promised range means that the other pages are
  // not there.
  const auto directory = static_cast<std::int64_t>(directories_.front());
  const bool overlaps = directory >= data_start() && directory < data_start() + bytes;
  if (compression == COMPRESSION_NONE && got >= bytes && !overlaps) return;
  throw io_error(fmt::format("{}: truncated, its description promises {} bytes of voxels, got {}",
                             path_.string(),
                             bytes,
                             got),
                 "copy or export the file again");
}

std::vector<std::byte> TiffFile::raw_bytes(std::int64_t offset, std::int64_t count) const {
  std::vector<std::byte> bytes(count);
  ByteStream stream(path_, data_start() + offset, Coding::kRaw);
  check(stream.read(bytes.data(), count) == count, "page");
  return bytes;
}

ImageJLayout imagej_layout(const TiffFile& file, std::int64_t pages) {
  const auto fields = description_fields(file.get());
  const auto number = [&](const char* key) {
    const auto found = fields.find(key);
    return found == fields.end() ? std::int64_t{1}
                                 : std::max<std::int64_t>(1, std::atoll(found->second.c_str()));
  };
  ImageJLayout layout;
  layout.slices = pages;
  if (fields.empty()) return layout;
  const std::int64_t images = number("images");
  const std::int64_t frames = number("frames");
  layout.channels = number("channels");
  if (frames > 1 && number("slices") > 1) {
    throw data_error(
        fmt::format(
            "{}: expected one volume, got a time series of {} frames", file.place(), frames),
        "export a single frame");
  }
  layout.slices = std::max(number("slices"), frames);
  // Stacks of old ImageJ versions state `images` alone; other programs copy descriptions that no
  // longer hold.
  const std::int64_t stated = layout.slices * layout.channels;
  const std::int64_t found = pages == 1 ? images : pages;
  if (stated != found) layout = {found, 1, std::nullopt};
  layout.spacing = imagej_spacing(file.get(), fields, layout.slices);
  return layout;
}

}  // namespace triptych
