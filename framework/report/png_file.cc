// SPDX-License-Identifier: Apache-2.0
#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/report/picture.h"

#include <png.h>

namespace triptych {

std::string encode_png(const Picture& picture) {
  if (picture.width <= 0 || picture.height <= 0) {
    throw io_error(
        fmt::format("picture: cannot become a PNG, expected at least 1 x 1 pixels, got {} x {}",
                    picture.width,
                    picture.height));
  }
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(picture.width);
  image.height = static_cast<png_uint_32>(picture.height);
  image.format = PNG_FORMAT_RGB;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image);
  std::string bytes(size, '\0');
  // One pass into a buffer of the largest possible size; libpng tells how much of it was used.
  if (png_image_write_to_memory(&image, bytes.data(), &size, 0, picture.rgb.data(), 0, nullptr) ==
      0) {
    throw io_error(fmt::format("picture: cannot become a PNG: {}", image.message));
  }
  bytes.resize(size);
  return bytes;
}

void write_png(const std::filesystem::path& path, const Picture& picture) {
  write_file_atomically(path, encode_png(picture));
}

}  // namespace triptych
