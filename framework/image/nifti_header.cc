// SPDX-License-Identifier: Apache-2.0
#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/image/stored_voxels.h"

#include <array>
#include <cmath>
#include <cstring>
#include <string>

#include <fmt/core.h>

namespace triptych {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kSizeNifti1 = 348;
constexpr std::int64_t kSizeNifti2 = 540;

/// Byte positions of the fields of NIfTI-1 (nifti1.h) and NIfTI-2 (nifti2.h).
class NiftiHeader {
 public:
  explicit NiftiHeader(const fs::path& file) : file_(file), stream_(file, 0, coding(file)) {
    std::memset(bytes_.data(), 0, bytes_.size());
    const std::int64_t got = stream_.read(bytes_.data(), kSizeNifti2);
    if (got < kSizeNifti1) {
      throw io_error(fmt::format("{}: truncated, expected a NIfTI header of {} bytes, got {}",
                                 file.string(),
                                 kSizeNifti1,
                                 got));
    }
    for (const bool swap : {false, true}) {
      swapped_ = swap;
      const auto size = number<std::int32_t>(0);
      if (size == kSizeNifti1 || size == kSizeNifti2) {
        second_ = size == kSizeNifti2;
        return;
      }
    }
    throw io_error(
        fmt::format("{}: not a NIfTI file, expected a header of 348 or 540 bytes", file.string()),
        "check the extension");
  }

  static Coding coding(const fs::path& file) {
    return file.extension() == ".gz" ? Coding::kDeflate : Coding::kRaw;
  }

  bool swapped() const { return swapped_; }
  std::int64_t dim(int axis) const {
    return second_ ? number<std::int64_t>(16 + 8 * axis) : number<std::int16_t>(40 + 2 * axis);
  }
  double pixdim(int axis) const {
    return second_ ? number<double>(104 + 8 * axis)
                   : static_cast<double>(number<float>(76 + 4 * axis));
  }
  int datatype() const { return number<std::int16_t>(second_ ? 12 : 70); }
  std::int64_t voxel_offset() const {
    return second_ ? number<std::int64_t>(168) : static_cast<std::int64_t>(number<float>(108));
  }
  double slope() const {
    return second_ ? number<double>(176) : static_cast<double>(number<float>(112));
  }
  double intercept() const {
    return second_ ? number<double>(184) : static_cast<double>(number<float>(116));
  }
  /// Whether the header's affine (sform) or quaternion and offset (qform), where it says that they
  /// hold, are finite numbers.
  bool has_finite_orientation() const {
    const auto finite = [&](std::int64_t first, std::int64_t count) {
      for (std::int64_t i = 0; i < count; ++i) {
        const double value = second_ ? number<double>(first + 8 * i)
                                     : static_cast<double>(number<float>(first + 4 * i));
        if (!std::isfinite(value)) return false;
      }
      return true;
    };
    const auto stated = [&](std::int64_t offset) {
      return second_ ? number<std::int32_t>(offset) > 0 : number<std::int16_t>(offset) > 0;
    };
    const bool qform = stated(second_ ? 344 : 252), sform = stated(second_ ? 348 : 254);
    return (!qform || finite(second_ ? 352 : 256, 6)) &&
           (!sform || finite(second_ ? 400 : 280, 12));
  }
  /// A free text; ITK writes this one but not the description.
  std::string auxiliary_file() const { return text(second_ ? 320 : 228, 24); }
  /// "n+1" for one file, "ni1" for a pair, "" for Analyze 7.5.
  std::string magic() const { return text(second_ ? 4 : 344, 4).substr(0, 3); }

 private:
  template <typename Number>
  Number number(std::int64_t offset) const {
    std::array<std::byte, sizeof(Number)> raw;
    for (std::size_t i = 0; i < sizeof(Number); ++i) {
      raw[i] = bytes_[offset + (swapped_ ? sizeof(Number) - 1 - i : i)];
    }
    Number value;
    std::memcpy(&value, raw.data(), sizeof(Number));
    return value;
  }

  std::string text(std::int64_t offset, std::int64_t size) const {
    const auto* start = reinterpret_cast<const char*>(bytes_.data()) + offset;
    return std::string(start, strnlen(start, size));
  }

  fs::path file_;
  ByteStream stream_;
  std::array<std::byte, kSizeNifti2> bytes_;
  bool swapped_ = false;
  bool second_ = false;
};

struct NiftiType {
  int code;
  VoxelType type;
  std::int64_t components;
};

constexpr NiftiType kTypes[] = {{2, VoxelType::kUInt8, 1},
                                {4, VoxelType::kInt16, 1},
                                {8, VoxelType::kInt32, 1},
                                {16, VoxelType::kFloat32, 1},
                                {64, VoxelType::kFloat64, 1},
                                {128, VoxelType::kUInt8, 3},
                                {256, VoxelType::kInt8, 1},
                                {512, VoxelType::kUInt16, 1},
                                {768, VoxelType::kUInt32, 1},
                                {1024, VoxelType::kInt64, 1},
                                {1280, VoxelType::kUInt64, 1},
                                {2304, VoxelType::kUInt8, 4}};

const NiftiType& voxel_type(const fs::path& file, const NiftiHeader& header) {
  for (const NiftiType& entry : kTypes) {
    if (entry.code == header.datatype()) return entry;
  }
  throw data_error(fmt::format("{}: expected integer, float or RGB voxels, got NIfTI type {}",
                               file.string(),
                               header.datatype()),
                   "convert complex, 128-bit or one-bit voxels first");
}

void check_axes(const fs::path& file, const NiftiHeader& header) {
  const std::int64_t axes = header.dim(0);
  bool positive = axes >= 1 && axes <= 7;
  for (int axis = 1; positive && axis <= axes; ++axis) positive = header.dim(axis) > 0;
  if (!positive) {
    std::string sizes;
    for (int axis = 1; axis <= std::min<std::int64_t>(axes, 7); ++axis)
      sizes += fmt::format(" {}", header.dim(axis));
    throw io_error(
        fmt::format("{}: damaged NIfTI header, expected 1 to 7 axes of at least one "
                    "voxel, got {} axes{}{}",
                    file.string(),
                    axes,
                    sizes.empty() ? "" : " of size",
                    sizes));
  }
  for (int axis = 1; axis <= std::min<std::int64_t>(axes, 3); ++axis) {
    // NIfTI readers turn such a spacing into 1 mm without a word.
    const double spacing = header.pixdim(axis);
    if (header.dim(axis) > 1 && (spacing == 0.0 || !std::isfinite(spacing))) {
      throw geometry_error(fmt::format("{}: expected a positive spacing along {}, got {:g} mm",
                                       file.string(),
                                       "xyz"[axis - 1],
                                       spacing),
                           "correct pixdim in the file");
    }
  }
  if (!header.has_finite_orientation()) {  // ITK ends the program over those
    throw geometry_error(
        fmt::format("{}: expected a finite sform and qform, got NaN or infinity", file.string()),
        "correct the affine of the file");
  }
  std::int64_t further = 0;  // axes beyond space that are longer than one
  for (int axis = 4; axis <= axes; ++axis) further += header.dim(axis) > 1 ? 1 : 0;
  if (further > 1 || (axes >= 6 && header.dim(6) > 1) || (axes >= 7 && header.dim(7) > 1)) {
    throw data_error(
        fmt::format("{}: expected 2 or 3 axes and at most one of channels or time, got {} axes",
                    file.string(),
                    axes),
        "split the file first");
  }
}

fs::path data_file(const fs::path& file, const NiftiHeader& header) {
  if (header.magic() != "ni1" && header.magic() != "ni2" && file_extension(file) != ".hdr")
    return file;
  fs::path image = file;
  image.replace_extension(".img");
  fs::path compressed = image;
  compressed += ".gz";
  return !fs::exists(image) && fs::exists(compressed) ? compressed : image;
}

}  // namespace

HeaderFacts nifti_facts(const fs::path& file) {
  const NiftiHeader header(file);
  check_axes(file, header);
  if (header.magic().empty()) {
    throw io_error(
        fmt::format("{}: an Analyze 7.5 file, expected NIfTI; its orientation is ambiguous",
                    file.string()),
        "convert it to .nii.gz with the program that wrote it");
  }
  const NiftiType& type = voxel_type(file, header);
  StoredVoxels stored;
  stored.header_file = file;
  stored.file = data_file(file, header);
  stored.coding = NiftiHeader::coding(stored.file);
  (stored.coding == Coding::kRaw ? stored.offset : stored.lead) = header.voxel_offset();
  stored.type = type.type;
  stored.swapped = header.swapped();
  const auto size = [&](int axis) { return axis <= header.dim(0) ? header.dim(axis) : 1; };
  stored.shape = {size(3), size(2), size(1)};
  stored.planar = type.components == 1;
  stored.channels = type.components * size(4) * size(5);
  if (type.components > 1 && size(4) * size(5) > 1) {
    throw data_error(fmt::format(
        "{}: expected one colour image, got a series of {}", file.string(), size(4) * size(5)));
  }
  const double slope = header.slope();
  // A slope of 0 means "none" (nifti1.h); colours are never scaled.
  if (slope != 0.0 && std::isfinite(slope) && std::isfinite(header.intercept()) &&
      type.components == 1) {
    stored.slope = slope;
    stored.intercept = header.intercept();
  }
  HeaderFacts facts;
  facts.spacing_known = header.auxiliary_file().find(kSpacingUnknown) == std::string::npos;
  facts.voxels = stored;
  return facts;
}

}  // namespace triptych
