// SPDX-License-Identifier: Apache-2.0
// PNG is encoded in memory: ITK's writer corrupts the heap when the disk fills up.
#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/image/format.h"

#include <array>
#include <bit>
#include <csetjmp>
#include <string>

#include <ATen/ATen.h>
#include <fmt/core.h>
#include <png.h>

namespace triptych {
namespace {

void append(png_structp png, png_bytep bytes, png_size_t count) {
  static_cast<std::string*>(png_get_io_ptr(png))
      ->append(reinterpret_cast<const char*>(bytes), count);
}

void keep_quiet(png_structp /*png*/, png_const_charp /*text*/) {}

struct Picture {
  std::int64_t width = 0;
  std::int64_t height = 0;
  std::int64_t channels = 1;
  std::int64_t bytes = 1;  ///< of a value
  const std::uint8_t* pixels = nullptr;
};

/// False when libpng gives up. No object with a destructor lives in this function: libpng leaves it
/// by longjmp.
bool encode(const Picture& picture, png_structp png, png_infop info) {
  static constexpr std::array<int, 4> kColors{
      PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_GRAY_ALPHA, PNG_COLOR_TYPE_RGB, PNG_COLOR_TYPE_RGB_ALPHA};
  if (setjmp(png_jmpbuf(png)) != 0) return false;
  png_set_IHDR(png,
               info,
               static_cast<png_uint_32>(picture.width),
               static_cast<png_uint_32>(picture.height),
               static_cast<int>(8 * picture.bytes),
               kColors[picture.channels - 1],
               PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT,
               PNG_FILTER_TYPE_DEFAULT);
  png_write_info(png, info);
  if (picture.bytes == 2 && std::endian::native == std::endian::little) png_set_swap(png);
  for (std::int64_t y = 0; y < picture.height; ++y) {
    png_write_row(png, picture.pixels + y * picture.width * picture.channels * picture.bytes);
  }
  png_write_end(png, info);
  return true;
}

}  // namespace

void write_png(const std::filesystem::path& target, const at::Tensor& data, VoxelType type) {
  if (data.size(0) > 4) {
    throw shape_error(
        fmt::format("{}: expected 1 to 4 channels, got {}", target.string(), data.size(0)),
        "write .tif or .mha");
  }
  const at::Tensor pixels =
      encode_values(data.select(1, 0).permute({1, 2, 0}), type, target.string());
  const Picture picture{data.size(3),
                        data.size(2),
                        data.size(0),
                        bytes_of(type),
                        static_cast<const std::uint8_t*>(pixels.data_ptr())};
  std::string bytes;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, keep_quiet);
  TRIPTYCH_ASSERT(png != nullptr);
  png_infop info = png_create_info_struct(png);
  png_set_write_fn(png, &bytes, append, nullptr);
  const bool done = info != nullptr && encode(picture, png, info);
  png_destroy_write_struct(&png, &info);
  if (!done)
    throw io_error(
        fmt::format("{}: cannot be written: libpng refused the picture", target.string()));
  write_file_atomically(target, bytes);
}

}  // namespace triptych
