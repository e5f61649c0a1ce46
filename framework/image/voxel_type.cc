// SPDX-License-Identifier: Apache-2.0
#include "framework/image/voxel_type.h"

#include "framework/core/error.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include <ATen/ATen.h>
#include <fmt/core.h>

namespace triptych {
namespace {

struct TypeFacts {
  const char* name;
  std::int64_t bytes;
  at::ScalarType tensor;
};

const TypeFacts& facts(VoxelType type) {
  static const std::array<TypeFacts, 10> table{{{"uint8", 1, at::kByte},
                                                {"int8", 1, at::kChar},
                                                {"uint16", 2, at::kInt},
                                                {"int16", 2, at::kShort},
                                                {"uint32", 4, at::kLong},
                                                {"int32", 4, at::kInt},
                                                {"uint64", 8, at::kLong},
                                                {"int64", 8, at::kLong},
                                                {"float32", 4, at::kFloat},
                                                {"float64", 8, at::kDouble}}};
  return table.at(static_cast<std::size_t>(type));
}

void swap_values(std::byte* bytes, std::int64_t count, std::int64_t width) {
  for (std::int64_t i = 0; i < count; ++i) std::reverse(bytes + i * width, bytes + (i + 1) * width);
}

/// Reads through a small buffer, so that a large volume exists once only.
template <typename Stored, typename Wide>
void widen(const ByteSource& source, bool swapped, std::int64_t count, Wide* out) {
  constexpr std::int64_t kBlock = 1 << 16;
  std::vector<Stored> block(std::min(kBlock, count));
  for (std::int64_t done = 0; done < count;) {
    const std::int64_t now = std::min(kBlock, count - done);
    auto* bytes = reinterpret_cast<std::byte*>(block.data());
    source(bytes, now * static_cast<std::int64_t>(sizeof(Stored)));
    if (swapped) swap_values(bytes, now, sizeof(Stored));
    std::copy_n(block.begin(), now, out + done);
    done += now;
  }
}

/// Bounds of integer types, for range checks; uint64 is bounded by int64, the widest type a tensor
/// has.
std::pair<std::int64_t, std::int64_t> bounds(VoxelType type) {
  using Limits = std::numeric_limits<std::int64_t>;
  switch (type) {
    case VoxelType::kUInt8:
      return {0, 0xff};
    case VoxelType::kInt8:
      return {-0x80, 0x7f};
    case VoxelType::kUInt16:
      return {0, 0xffff};
    case VoxelType::kInt16:
      return {-0x8000, 0x7fff};
    case VoxelType::kUInt32:
      return {0, 0xffffffffLL};
    case VoxelType::kInt32:
      return {-0x80000000LL, 0x7fffffffLL};
    case VoxelType::kUInt64:
      return {0, Limits::max()};
    default:
      return {Limits::min(), Limits::max()};
  }
}

bool is_float(VoxelType type) { return type == VoxelType::kFloat32 || type == VoxelType::kFloat64; }

/// The tensor type with the same width, whose bits an unsigned type shares.
at::ScalarType storage_type(VoxelType type) {
  if (is_float(type)) return tensor_type(type);
  if (type == VoxelType::kUInt8) return at::kByte;
  switch (bytes_of(type)) {
    case 1:
      return at::kChar;
    case 2:
      return at::kShort;
    case 4:
      return at::kInt;
    default:
      return at::kLong;
  }
}

}  // namespace

std::int64_t bytes_of(VoxelType type) { return facts(type).bytes; }

std::string name_of(VoxelType type) { return facts(type).name; }

at::ScalarType tensor_type(VoxelType type) { return facts(type).tensor; }

VoxelType integer_type(std::int64_t bytes, bool is_signed) {
  switch (bytes) {
    case 1:
      return is_signed ? VoxelType::kInt8 : VoxelType::kUInt8;
    case 2:
      return is_signed ? VoxelType::kInt16 : VoxelType::kUInt16;
    case 4:
      return is_signed ? VoxelType::kInt32 : VoxelType::kUInt32;
    default:
      return is_signed ? VoxelType::kInt64 : VoxelType::kUInt64;
  }
}

VoxelType file_type(at::ScalarType type) {
  switch (type) {
    case at::kBool:
    case at::kByte:
      return VoxelType::kUInt8;
    case at::kChar:
      return VoxelType::kInt8;
    case at::kShort:
      return VoxelType::kInt16;
    case at::kInt:
      return VoxelType::kInt32;
    case at::kLong:
      return VoxelType::kInt64;
    case at::kHalf:
    case at::kBFloat16:
    case at::kFloat:
      return VoxelType::kFloat32;
    case at::kDouble:
      return VoxelType::kFloat64;
    default:
      throw shape_error(fmt::format("voxels: expected a real type, got {}", at::toString(type)));
  }
}

VoxelType smallest_integer_type(std::int64_t lowest, std::int64_t highest) {
  for (const auto type : {VoxelType::kUInt8,
                          VoxelType::kInt8,
                          VoxelType::kUInt16,
                          VoxelType::kInt16,
                          VoxelType::kUInt32,
                          VoxelType::kInt32}) {
    const auto [low, high] = bounds(type);
    if (lowest >= low && highest <= high) return type;
  }
  return VoxelType::kInt64;
}

at::Tensor decode_values(const ByteSource& source,
                         VoxelType type,
                         bool swapped,
                         std::int64_t count,
                         const std::string& place) {
  at::Tensor values = at::empty({count}, tensor_type(type));
  const std::int64_t width = bytes_of(type);
  if (type == VoxelType::kUInt16) {
    widen<std::uint16_t>(source, swapped, count, values.data_ptr<std::int32_t>());
    return values;
  }
  if (type == VoxelType::kUInt32) {
    widen<std::uint32_t>(source, swapped, count, values.data_ptr<std::int64_t>());
    return values;
  }
  auto* bytes = static_cast<std::byte*>(values.data_ptr());
  if (count > 0) source(bytes, count * width);
  if (swapped) swap_values(bytes, count, width);
  if (type == VoxelType::kUInt64 && count > 0 && values.min().item<std::int64_t>() < 0) {
    throw data_error(
        fmt::format("{}: expected voxels below 2^63, got a larger uint64 value", place),
        "store the volume with a smaller integer type");
  }
  return values;
}

at::Tensor encode_values(const at::Tensor& values, VoxelType type, const std::string& place) {
  const at::Tensor host = values.to(at::kCPU);
  if (host.numel() > 0 && !is_float(type) && file_type(host.scalar_type()) != type) {
    const auto [low, high] = bounds(type);
    const double lowest = host.min().item<double>();
    const double highest = host.max().item<double>();
    if (!(lowest >= static_cast<double>(low) && highest <= static_cast<double>(high))) {
      throw data_error(fmt::format("{}: expected values that {} holds, got {:g} to {:g}",
                                   place,
                                   name_of(type),
                                   lowest,
                                   highest));
    }
  }
  return host.to(storage_type(type)).contiguous();
}

at::Tensor rescaled(const at::Tensor& values, double slope, double intercept) {
  if (slope == 1.0 && intercept == 0.0) return values;
  at::Tensor result = values.to(at::kFloat);
  // In place: the product would otherwise hold a second copy of the volume.
  if (result.is_same(values)) result = values.clone();
  return result.mul_(slope).add_(intercept);
}

}  // namespace triptych
