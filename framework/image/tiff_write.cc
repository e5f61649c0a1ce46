// SPDX-License-Identifier: Apache-2.0
// Writes TIFF that ImageJ and Fiji open as a stack with its voxel size, and `<name>.json` with the
// exact geometry.
#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/image/format.h"
#include "framework/image/sidecar.h"
#include "framework/image/tiff_file.h"

#include <algorithm>

#include <ATen/ATen.h>
#include <fmt/core.h>
#include <tiffio.h>

namespace triptych {
namespace {

namespace fs = std::filesystem;

/// Classic TIFF holds 4 GiB with its directories; beyond a margin BigTIFF is written.
constexpr std::int64_t kLargestClassic = 4'000'000'000;

std::string description(const Geometry& geometry, std::int64_t channels) {
  std::string text = fmt::format("ImageJ=1.53\nimages={}\n", geometry.shape[0] * channels);
  if (channels > 1) text += fmt::format("channels={}\n", channels);
  if (geometry.shape[0] > 1) text += fmt::format("slices={}\n", geometry.shape[0]);
  if (channels > 1) text += "hyperstack=true\n";
  if (geometry.spacing_known)
    text += fmt::format("unit=mm\nspacing={:.17g}\n", geometry.spacing[2]);
  return text + "loop=false\n";
}

int sample_format(VoxelType type) {
  switch (type) {
    case VoxelType::kFloat32:
    case VoxelType::kFloat64:
      return SAMPLEFORMAT_IEEEFP;
    case VoxelType::kInt8:
    case VoxelType::kInt16:
    case VoxelType::kInt32:
    case VoxelType::kInt64:
      return SAMPLEFORMAT_INT;
    default:
      return SAMPLEFORMAT_UINT;
  }
}

bool is_color(const WriteRequest& request) {
  return request.source.channels == 3 &&
         (request.type == VoxelType::kUInt8 || request.type == VoxelType::kUInt16);
}

class TiffWriter {
 public:
  TiffWriter(const fs::path& temporary, const fs::path& target, const WriteRequest& request)
      : target_(target),
        geometry_(request.source.geometry),
        type_(request.type),
        samples_(is_color(request) ? 3 : 1) {
    silence_libtiff();
    const std::int64_t channels = request.source.channels;
    const bool big = channels * geometry_.voxels() * bytes_of(type_) > kLargestClassic;
    tiff_ = TIFFOpen(temporary.c_str(), big ? "w8" : "w");
    check(tiff_ != nullptr);
    description_ = description(geometry_, channels / samples_);
  }
  ~TiffWriter() {
    if (tiff_ != nullptr) TIFFClose(tiff_);
  }
  TiffWriter(const TiffWriter&) = delete;
  TiffWriter& operator=(const TiffWriter&) = delete;

  /// `pixels` is [H, W] or [H, W, 3], encoded.
  void write_page(const at::Tensor& pixels) {
    set_tags();
    const at::Tensor voxels = pixels.contiguous();
    const std::int64_t row_bytes = geometry_.shape[2] * samples_ * bytes_of(type_);
    const std::int64_t rows = rows_per_strip();
    auto* bytes = static_cast<std::byte*>(voxels.data_ptr());
    for (std::int64_t y = 0; y < geometry_.shape[1]; y += rows) {
      const std::int64_t size = std::min(rows, geometry_.shape[1] - y) * row_bytes;
      check(TIFFWriteEncodedStrip(
                tiff_, static_cast<std::uint32_t>(y / rows), bytes + y * row_bytes, size) == size);
    }
    check(TIFFWriteDirectory(tiff_) != 0);
    first_ = false;
  }

  void finish() {
    check(TIFFFlush(tiff_) != 0);
    TIFFClose(tiff_);
    tiff_ = nullptr;
  }

 private:
  std::int64_t rows_per_strip() const {
    const std::int64_t row_bytes = geometry_.shape[2] * samples_ * bytes_of(type_);
    return std::clamp<std::int64_t>((1 << 18) / row_bytes, 1, geometry_.shape[1]);
  }

  void set_tags() {
    const auto bits = static_cast<int>(8 * bytes_of(type_));
    TIFFSetField(tiff_, TIFFTAG_IMAGEWIDTH, static_cast<std::uint32_t>(geometry_.shape[2]));
    TIFFSetField(tiff_, TIFFTAG_IMAGELENGTH, static_cast<std::uint32_t>(geometry_.shape[1]));
    TIFFSetField(tiff_, TIFFTAG_BITSPERSAMPLE, bits);
    TIFFSetField(tiff_, TIFFTAG_SAMPLESPERPIXEL, static_cast<int>(samples_));
    TIFFSetField(tiff_, TIFFTAG_SAMPLEFORMAT, sample_format(type_));
    TIFFSetField(
        tiff_, TIFFTAG_PHOTOMETRIC, samples_ == 3 ? PHOTOMETRIC_RGB : PHOTOMETRIC_MINISBLACK);
    TIFFSetField(tiff_, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG);
    TIFFSetField(tiff_, TIFFTAG_ORIENTATION, ORIENTATION_TOPLEFT);
    TIFFSetField(tiff_, TIFFTAG_COMPRESSION, COMPRESSION_ADOBE_DEFLATE);
    if (bits <= 16) TIFFSetField(tiff_, TIFFTAG_PREDICTOR, PREDICTOR_HORIZONTAL);
    TIFFSetField(tiff_, TIFFTAG_ROWSPERSTRIP, static_cast<std::uint32_t>(rows_per_strip()));
    if (geometry_.spacing_known) {
      TIFFSetField(
          tiff_, TIFFTAG_RESOLUTIONUNIT, RESUNIT_NONE);  // ImageJ's unit is in the description
      TIFFSetField(tiff_, TIFFTAG_XRESOLUTION, 1.0 / geometry_.spacing[0]);
      TIFFSetField(tiff_, TIFFTAG_YRESOLUTION, 1.0 / geometry_.spacing[1]);
    }
    if (first_) TIFFSetField(tiff_, TIFFTAG_IMAGEDESCRIPTION, description_.c_str());
  }

  void check(bool success) const {
    if (success) return;
    throw io_error(fmt::format("{}: cannot be written: {}", target_.string(), last_tiff_message()),
                   "check the free space and the permissions of its folder");
  }

  fs::path target_;
  Geometry geometry_;
  VoxelType type_;
  std::int64_t samples_;
  std::string description_;
  TIFF* tiff_ = nullptr;
  bool first_ = true;
};

/// A JSON beside the file is ours to keep true; without anything to say none is made.
void write_sidecar(const fs::path& target, const Geometry& geometry) {
  fs::path file = target;
  file.replace_extension(".json");
  const bool plain =
      !geometry.spacing_known && geometry.origin.isZero(0.0) && geometry.direction.isIdentity(0.0);
  if (!plain || fs::exists(file)) write_file_atomically(file, sidecar_text(geometry));
}

}  // namespace

void write_tiff(const fs::path& target, const WriteRequest& request) {
  const VolumeSource& source = request.source;
  AtomicFile file(target);
  TiffWriter writer(file.temporary(), target, request);
  for (const Region& slab :
       slabs_of(source.geometry.shape, source.channels * bytes_of(request.type))) {
    std::vector<at::Tensor> channels;
    for (std::int64_t channel = 0; channel < source.channels; ++channel)
      channels.push_back(encoded_piece(request, channel, slab, target.string()));
    for (std::int64_t z = 0; z < slab.size[0]; ++z) {
      std::vector<at::Tensor> pages;
      for (const at::Tensor& channel : channels) pages.push_back(channel[z]);
      if (is_color(request)) pages = {at::stack(pages, /*dim=*/2)};
      for (const at::Tensor& page : pages) writer.write_page(page);
    }
  }
  writer.finish();
  open_tiff(file.temporary(), {})->check_complete();
  write_sidecar(target, source.geometry);
  file.commit();
}

}  // namespace triptych
