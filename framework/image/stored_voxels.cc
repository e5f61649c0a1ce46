// SPDX-License-Identifier: Apache-2.0
#include "framework/image/stored_voxels.h"

#include "framework/core/error.h"

#include <algorithm>
#include <array>
#include <vector>

#include <ATen/ATen.h>
#include <fmt/core.h>

namespace triptych {
namespace {

namespace fs = std::filesystem;

Error truncated(const StoredVoxels& stored, std::int64_t got) {
  const std::string which = stored.file == stored.header_file
                                ? std::string()
                                : fmt::format(" in {}", stored.file.filename().string());
  return io_error(fmt::format("{}: truncated, expected {} bytes of voxels{}, got {}",
                              stored.header_file.string(),
                              stored.bytes(),
                              which,
                              got),
                  "copy or download the file again");
}

Error unfinished(const StoredVoxels& stored) {
  return io_error(fmt::format("{}: truncated, the compressed voxels lack their end",
                              stored.header_file.string()),
                  "copy or download the file again");
}

/// Walks over the bytes of a region in file order.
class RegionBytes {
 public:
  RegionBytes(const StoredVoxels& stored, const Region& region)
      : stored_(stored), stream_(stored.file, stored.offset, stored.coding) {
    const std::int64_t voxel = bytes_of(stored.type) * (stored.planar ? 1 : stored.channels);
    const auto& shape = stored.shape;
    // Sizes from the fastest axis to the slowest; an axis that is read whole joins the next slower
    // one.
    strides_ = {voxel,
                voxel * shape[2],
                voxel * shape[2] * shape[1],
                voxel * shape[2] * shape[1] * shape[0]};
    run_bytes_ = region.size[2] * voxel;
    counts_ = {region.size[1], region.size[0], stored.planar ? stored.channels : 1};
    if (region.size[2] == shape[2]) {
      run_bytes_ *= counts_[0];
      counts_[0] = 1;
      if (region.size[1] == shape[1]) {
        run_bytes_ *= counts_[1];
        counts_[1] = 1;
      }
    }
    first_ = stored.lead + region.start[2] * strides_[0] + region.start[1] * strides_[1] +
             region.start[0] * strides_[2];
  }

  /// To be called once everything was read: the end of compressed data carries their check sum.
  void finish() {
    const bool last = position_ == stored_.lead + stored_.bytes();
    if (last && !stream_.ends_well()) throw unfinished(stored_);
  }

  void read(std::byte* destination, std::int64_t count) {
    while (count > 0) {
      if (left_in_run_ == 0) start_run();
      const std::int64_t now = std::min(count, left_in_run_);
      const std::int64_t got = stream_.read(destination, now);
      position_ += got;
      if (got < now) throw truncated(stored_, std::max<std::int64_t>(0, position_ - stored_.lead));
      destination += now;
      count -= now;
      left_in_run_ -= now;
    }
  }

 private:
  void start_run() {
    const std::int64_t y = run_ % counts_[0];
    const std::int64_t z = run_ / counts_[0] % counts_[1];
    const std::int64_t channel = run_ / (counts_[0] * counts_[1]);
    position_ = first_ + y * strides_[1] + z * strides_[2] + channel * strides_[3];
    stream_.seek(position_);
    left_in_run_ = run_bytes_;
    ++run_;
  }

  const StoredVoxels& stored_;
  ByteStream stream_;
  std::array<std::int64_t, 4> strides_{};
  std::array<std::int64_t, 3> counts_{};
  std::int64_t first_ = 0;
  std::int64_t run_bytes_ = 0;
  std::int64_t left_in_run_ = 0;
  std::int64_t position_ = 0;
  std::int64_t run_ = 0;
};

/// The size that the last four bytes of a gzip member state, modulo 2^32.
std::uint32_t gzip_size(const fs::path& file) {
  std::array<std::byte, 4> bytes{};
  ByteStream stream(file,
                    std::max<std::int64_t>(0, static_cast<std::int64_t>(fs::file_size(file)) - 4),
                    Coding::kRaw);
  stream.read(bytes.data(), 4);
  std::uint32_t size = 0;
  for (int i = 3; i >= 0; --i) size = size << 8 | static_cast<std::uint32_t>(bytes[i]);
  return size;
}

std::int64_t inflated_size(const StoredVoxels& stored) {
  ByteStream stream(stored.file, stored.offset, stored.coding);
  std::vector<std::byte> block(1 << 18);
  std::int64_t size = 0;
  while (const std::int64_t step =
             stream.read(block.data(), static_cast<std::int64_t>(block.size()))) {
    size += step;
  }
  if (size >= stored.lead + stored.bytes() && !stream.ends_well()) throw unfinished(stored);
  return size;
}

bool starts_as_gzip(const fs::path& file, std::int64_t offset) {
  std::array<std::byte, 2> bytes{};
  ByteStream stream(file, offset, Coding::kRaw);
  return stream.read(bytes.data(), 2) == 2 && bytes[0] == std::byte{0x1f} &&
         bytes[1] == std::byte{0x8b};
}

}  // namespace

at::Tensor read_stored(const StoredVoxels& stored, const Region& region) {
  RegionBytes bytes(stored, region);
  const auto source = [&](std::byte* destination, std::int64_t count) {
    bytes.read(destination, count);
  };
  const at::Tensor values = decode_values(source,
                                          stored.type,
                                          stored.swapped,
                                          stored.channels * region.voxels(),
                                          stored.header_file.string());
  bytes.finish();
  const auto& size = region.size;
  if (stored.planar || stored.channels == 1)
    return values.view({stored.channels, size[0], size[1], size[2]});
  return values.view({size[0], size[1], size[2], stored.channels})
      .permute({3, 0, 1, 2})
      .contiguous();
}

void check_stated_size(const StoredVoxels& stored) {
  constexpr double kMostOfOneByte = 1032.0;
  std::error_code missing;
  const auto file_size = static_cast<double>(fs::file_size(stored.file, missing));
  if (missing) return;  // check_stored names it
  double expected = static_cast<double>(stored.channels * bytes_of(stored.type));
  for (const std::int64_t size : stored.shape) expected *= static_cast<double>(size);
  constexpr double kCountable = 9e18;
  const bool raw = stored.coding == Coding::kRaw;
  const double most = raw ? std::max(0.0, file_size - static_cast<double>(stored.offset))
                          : kMostOfOneByte * file_size;
  if (expected <= most) return;
  if (raw && expected < kCountable) throw truncated(stored, static_cast<std::int64_t>(most));
  throw io_error(
      fmt::format("{}: truncated or damaged, expected {} x {} x {} voxels ({:.0f} bytes), "
                  "got {}{:.0f} bytes",
                  stored.header_file.string(),
                  stored.shape[2],
                  stored.shape[1],
                  stored.shape[0],
                  expected,
                  raw ? "" : "compressed data of ",
                  raw ? most : file_size),
      "copy or download the file again");
}

void check_stored(const StoredVoxels& stored) {
  if (!fs::exists(stored.file)) {
    throw io_error(fmt::format("{}: its voxels are missing, expected them in {}",
                               stored.header_file.string(),
                               stored.file.string()),
                   "keep header and data file together");
  }
  const auto file_size = static_cast<std::int64_t>(fs::file_size(stored.file));
  const std::int64_t expected = stored.lead + stored.bytes();
  const auto require = [&](std::int64_t got) {
    if (got < expected) throw truncated(stored, std::max<std::int64_t>(0, got - stored.lead));
  };
  if (stored.coding == Coding::kRaw) return require(file_size - stored.offset);
  if (stored.compressed_bytes > 0) {
    const std::int64_t got = file_size - stored.offset;
    if (got >= stored.compressed_bytes) return;
    throw io_error(fmt::format("{}: truncated, expected {} compressed bytes, got {}",
                               stored.header_file.string(),
                               stored.compressed_bytes,
                               std::max<std::int64_t>(0, got)),
                   "copy or download the file again");
  }
  const bool gzip = starts_as_gzip(stored.file, stored.offset);
  if (gzip && gzip_size(stored.file) == static_cast<std::uint32_t>(expected)) return;
  require(inflated_size(stored));
}

}  // namespace triptych
