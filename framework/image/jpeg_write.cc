// SPDX-License-Identifier: Apache-2.0
// JPEG is encoded in memory: ITK's writer ends the process when the disk fills up.
#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/image/format.h"

#include <csetjmp>
#include <cstdio>  // jpeglib.h needs its FILE
#include <cstdlib>
#include <string>

#include <ATen/ATen.h>
#include <fmt/core.h>
#include <jpeglib.h>

namespace triptych {
namespace {

constexpr int kQuality = 95;

struct ErrorHandler {
  jpeg_error_mgr manager;
  std::jmp_buf back;
};

void jump_back(j_common_ptr codec) {
  std::longjmp(reinterpret_cast<ErrorHandler*>(codec->err)->back, 1);
}

void keep_quiet(j_common_ptr /*codec*/) {}

/// Malloc'ed bytes of the file.
struct Encoded {
  unsigned char* bytes = nullptr;
  unsigned long size = 0;
  ~Encoded() { std::free(bytes); }
};

/// False when libjpeg gives up. No object with a destructor lives in this function: libjpeg leaves
/// it by longjmp.
bool encode(const unsigned char* pixels, int width, int height, int channels, Encoded& out) {
  jpeg_compress_struct codec;
  ErrorHandler errors;
  codec.err = jpeg_std_error(&errors.manager);
  errors.manager.error_exit = jump_back;
  errors.manager.output_message = keep_quiet;
  if (setjmp(errors.back) != 0) {
    jpeg_destroy_compress(&codec);
    return false;
  }
  jpeg_create_compress(&codec);
  jpeg_mem_dest(&codec, &out.bytes, &out.size);
  codec.image_width = static_cast<JDIMENSION>(width);
  codec.image_height = static_cast<JDIMENSION>(height);
  codec.input_components = channels;
  codec.in_color_space = channels == 3 ? JCS_RGB : JCS_GRAYSCALE;
  jpeg_set_defaults(&codec);
  jpeg_set_quality(&codec, kQuality, TRUE);
  jpeg_start_compress(&codec, TRUE);
  while (codec.next_scanline < codec.image_height) {
    auto* row = const_cast<unsigned char*>(pixels) +
                static_cast<std::size_t>(codec.next_scanline) * width * channels;
    jpeg_write_scanlines(&codec, &row, 1);
  }
  jpeg_finish_compress(&codec);
  jpeg_destroy_compress(&codec);
  return true;
}

}  // namespace

void write_jpeg(const std::filesystem::path& target, const at::Tensor& data) {
  const std::int64_t channels = data.size(0);
  if (channels != 1 && channels != 3) {
    throw shape_error(
        fmt::format("{}: expected 1 or 3 channels, got {}", target.string(), channels),
        "write .png, .tif or .mha");
  }
  const at::Tensor pixels =
      encode_values(data.select(1, 0).permute({1, 2, 0}), VoxelType::kUInt8, target.string());
  Encoded file;
  if (!encode(static_cast<const unsigned char*>(pixels.data_ptr()),
              static_cast<int>(data.size(3)),
              static_cast<int>(data.size(2)),
              static_cast<int>(channels),
              file)) {
    throw io_error(
        fmt::format("{}: cannot be written: libjpeg refused the picture", target.string()));
  }
  write_file_atomically(target, std::string(reinterpret_cast<const char*>(file.bytes), file.size));
}

}  // namespace triptych
