// SPDX-License-Identifier: Apache-2.0
// Reads TIFF and BigTIFF: one page or one slice a page, strips or tiles, ImageJ's description and
// `<name>.json`.
#include "framework/core/error.h"
#include "framework/image/format.h"
#include "framework/image/sidecar.h"
#include "framework/image/tiff_file.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <map>
#include <vector>

#include <ATen/ATen.h>
#include <fmt/core.h>
#include <tiffio.h>

namespace triptych {
namespace {

namespace fs = std::filesystem;

/// The layout of one page; all pages of a volume must agree.
struct Page {
  std::int64_t width = 0;
  std::int64_t height = 0;
  std::int64_t channels = 1;
  std::uint16_t bits = 8;
  VoxelType type = VoxelType::kUInt8;
  bool separate = false;  ///< one plane a channel

  bool operator==(const Page&) const = default;
};

VoxelType page_type(std::uint16_t format, std::uint16_t bits, const std::string& place) {
  const bool integer =
      format == SAMPLEFORMAT_UINT || format == SAMPLEFORMAT_INT || format == SAMPLEFORMAT_VOID;
  if (bits == 1 && integer) return VoxelType::kUInt8;
  if (integer && (bits == 8 || bits == 16 || bits == 32 || bits == 64))
    return integer_type(bits / 8, format == SAMPLEFORMAT_INT);
  if (format == SAMPLEFORMAT_IEEEFP && bits == 32) return VoxelType::kFloat32;
  if (format == SAMPLEFORMAT_IEEEFP && bits == 64) return VoxelType::kFloat64;
  throw data_error(
      fmt::format("{}: expected integer voxels of 1, 8, 16, 32 or 64 bits or floats of 32 or 64, "
                  "got {} bits of sample format {}",
                  place,
                  bits,
                  format));
}

Page read_page(TIFF* tiff, const std::string& place) {
  Page page;
  std::uint32_t width = 0;
  std::uint32_t height = 0;
  std::uint16_t samples = 1;
  std::uint16_t format = SAMPLEFORMAT_UINT;
  std::uint16_t planar = PLANARCONFIG_CONTIG;
  std::uint16_t photometric = PHOTOMETRIC_MINISBLACK;
  std::uint16_t compression = COMPRESSION_NONE;
  TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &width);
  TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &height);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLESPERPIXEL, &samples);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_BITSPERSAMPLE, &page.bits);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLEFORMAT, &format);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_PLANARCONFIG, &planar);
  TIFFGetFieldDefaulted(tiff, TIFFTAG_COMPRESSION, &compression);
  TIFFGetField(tiff, TIFFTAG_PHOTOMETRIC, &photometric);
  page.width = width;
  page.height = height;
  page.channels = samples;
  page.separate = planar == PLANARCONFIG_SEPARATE && samples > 1;
  page.type = page_type(format, page.bits, place);
  // A palette is a way to display: the stored index is the grey value (ImageJ) or the label, so it
  // is kept.
  const bool jpeg = compression == COMPRESSION_JPEG && photometric == PHOTOMETRIC_YCBCR;
  if (jpeg) TIFFSetField(tiff, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
  const bool known = photometric == PHOTOMETRIC_MINISBLACK ||
                     photometric == PHOTOMETRIC_MINISWHITE || photometric == PHOTOMETRIC_RGB ||
                     photometric == PHOTOMETRIC_PALETTE || jpeg;
  if (!known) {
    throw data_error(fmt::format(
        "{}: expected grey, RGB or palette colours, got TIFF photometric {}", place, photometric));
  }
  return page;
}

/// Copies the wanted part of decoded pixels (rows of `row_bytes`) into the output; expands one-bit
/// pixels.
struct PageCopy {
  const Page& page;
  std::int64_t row0, rows, column0, columns;  ///< the wanted region
  std::vector<std::byte>& out;                ///< [rows, columns, samples] of bytes_of(type)
  std::int64_t samples;                       ///< in one plane

  void take(const std::byte* pixels,
            std::int64_t row_bytes,
            std::int64_t top,
            std::int64_t left,
            std::int64_t height,
            std::int64_t width) {
    const std::int64_t pixel = samples * bytes_of(page.type);
    const std::int64_t first_row = std::max(row0, top);
    const std::int64_t last_row = std::min(row0 + rows, top + height);
    const std::int64_t first = std::max(column0, left);
    const std::int64_t last = std::min(column0 + columns, left + width);
    for (std::int64_t row = first_row; row < last_row && first < last; ++row) {
      const std::byte* line = pixels + (row - top) * row_bytes;
      std::byte* target = out.data() + ((row - row0) * columns + first - column0) * pixel;
      if (page.bits == 1) {
        for (std::int64_t i = first - left; i < last - left; ++i)
          *target++ = line[i / 8] >> (7 - i % 8) & std::byte{1};
      } else {
        std::memcpy(target, line + (first - left) * pixel, (last - first) * pixel);
      }
    }
  }
};

void read_tiles(const TiffFile& file, PageCopy& copy, std::uint16_t plane) {
  std::uint32_t tile_width = 0;
  std::uint32_t tile_height = 0;
  TIFFGetField(file.get(), TIFFTAG_TILEWIDTH, &tile_width);
  TIFFGetField(file.get(), TIFFTAG_TILELENGTH, &tile_height);
  std::vector<std::byte> buffer(TIFFTileSize64(file.get()));
  for (std::int64_t y = copy.row0 / tile_height * tile_height; y < copy.row0 + copy.rows;
       y += tile_height) {
    for (std::int64_t x = copy.column0 / tile_width * tile_width; x < copy.column0 + copy.columns;
         x += tile_width) {
      file.check(TIFFReadTile(file.get(), buffer.data(), x, y, 0, plane) >= 0, "tile");
      copy.take(buffer.data(), TIFFTileRowSize64(file.get()), y, x, tile_height, tile_width);
    }
  }
}

void read_strips(const TiffFile& file, PageCopy& copy, std::uint16_t plane) {
  std::uint32_t rows_per_strip = 0;
  TIFFGetFieldDefaulted(file.get(), TIFFTAG_ROWSPERSTRIP, &rows_per_strip);
  const std::int64_t step = std::min<std::int64_t>(rows_per_strip, copy.page.height);
  std::vector<std::byte> buffer(TIFFStripSize64(file.get()));
  const auto row_bytes = static_cast<std::int64_t>(TIFFScanlineSize64(file.get()));
  for (std::int64_t y = copy.row0 / step * step; y < copy.row0 + copy.rows; y += step) {
    const std::int64_t height = std::min(step, copy.page.height - y);
    const std::uint32_t strip = TIFFComputeStrip(file.get(), y, plane);
    const std::int64_t got =
        TIFFReadEncodedStrip(file.get(), strip, buffer.data(), row_bytes * height);
    file.check(got == row_bytes * height, "strip");
    copy.take(buffer.data(), row_bytes, y, 0, height, copy.page.width);
  }
}

class TiffReader final : public ImageReader {
 public:
  explicit TiffReader(const fs::path& path) : file_(path) {
    page_ = read_page(file_.get(), file_.place());
    layout_ = imagej_layout(file_, file_.pages());
    raw_hyperstack_ = file_.pages() == 1 && layout_.slices * layout_.channels > 1;
    header_.format = "tiff";
    header_.reads_regions = true;
    header_.channels = page_.channels * layout_.channels;
    header_.type = tensor_type(page_.type);
    header_.geometry.shape = {layout_.slices, page_.height, page_.width};
    header_.geometry.spacing_known = layout_.spacing.has_value();
    if (layout_.spacing) header_.geometry.spacing = *layout_.spacing;
    if (const auto sidecar = sidecar_of_file(path))
      apply_sidecar(*sidecar, header_.geometry, path.string());
    if (raw_hyperstack_) file_.check_contiguous(page_bytes() * layout_.slices * layout_.channels);
  }

  at::Tensor read(const Region& region) override {
    const auto& size = region.size;
    at::Tensor result = at::empty({header_.channels, size[0], size[1], size[2]}, header_.type);
    for (std::int64_t z = 0; z < size[0]; ++z) {
      for (std::int64_t c = 0; c < layout_.channels; ++c) {
        const std::int64_t page = (region.start[0] + z) * layout_.channels + c;
        result.narrow(0, c * page_.channels, page_.channels)
            .select(1, z)
            .copy_(read_one(page, region));
      }
    }
    return result;
  }

  void check_complete() override {
    if (raw_hyperstack_) return;  // checked when it was opened
    for (std::int64_t page = 0; page < file_.pages(); ++page) {
      go_to(page);
      file_.check_data_inside();
    }
  }

 private:
  std::int64_t page_bytes() const {
    return page_.width * page_.height * page_.channels * bytes_of(page_.type);
  }

  void go_to(std::int64_t page) {
    file_.select(page);
    const Page got = read_page(file_.get(), file_.place());
    if (got == page_) return;
    throw geometry_error(
        fmt::format("{}: page {} differs, expected {}x{} of {} as page 0, got {}x{} of {}",
                    file_.place(),
                    page,
                    page_.width,
                    page_.height,
                    name_of(page_.type),
                    got.width,
                    got.height,
                    name_of(got.type)));
  }

  /// [C, H, W] of a region of a page.
  at::Tensor read_one(std::int64_t index, const Region& region) {
    const std::int64_t rows = region.size[1];
    const std::int64_t columns = region.size[2];
    const std::int64_t planes = page_.separate ? page_.channels : 1;
    const std::int64_t samples = page_.channels / planes;
    std::vector<std::byte> pixels(rows * columns * samples * bytes_of(page_.type));
    PageCopy copy{page_, region.start[1], rows, region.start[2], columns, pixels, samples};
    std::vector<at::Tensor> parts;
    if (!raw_hyperstack_) go_to(index);
    for (std::int64_t plane = 0; plane < planes; ++plane) {
      if (raw_hyperstack_) {
        const auto bytes = file_.raw_bytes(index * page_bytes(), page_bytes());
        copy.take(bytes.data(), page_bytes() / page_.height, 0, 0, page_.height, page_.width);
      } else {
        (TIFFIsTiled(file_.get()) ? read_tiles : read_strips)(
            file_, copy, static_cast<std::uint16_t>(plane));
      }
      parts.push_back(decode(pixels).view({rows, columns, samples}).permute({2, 0, 1}));
    }
    return parts.size() == 1 ? parts[0] : at::cat(parts);
  }

  at::Tensor decode(const std::vector<std::byte>& pixels) const {
    const std::byte* next = pixels.data();
    const auto source = [&](std::byte* destination, std::int64_t count) {
      std::memcpy(destination, next, count);
      next += count;
    };
    const auto count = static_cast<std::int64_t>(pixels.size()) / bytes_of(page_.type);
    return decode_values(
        source, page_.type, raw_hyperstack_ && file_.swapped(), count, file_.place());
  }

  TiffFile file_;
  Page page_;
  ImageJLayout layout_;
  bool raw_hyperstack_ =
      false;  ///< ImageJ beyond 4 GiB: one page, the others follow it without directories
};

}  // namespace

std::unique_ptr<ImageReader> open_tiff(const fs::path& file, const ReadOptions&) {
  return std::make_unique<TiffReader>(file);
}

}  // namespace triptych
