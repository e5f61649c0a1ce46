// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include <ATen/core/Tensor.h>

namespace triptych {

/// Types of voxels in files. Tensors lack the unsigned types of 16 to 64 bits, so those are read
/// into the next signed type that holds them.
enum class VoxelType {
  kUInt8,
  kInt8,
  kUInt16,
  kInt16,
  kUInt32,
  kInt32,
  kUInt64,
  kInt64,
  kFloat32,
  kFloat64,
};

std::int64_t bytes_of(VoxelType type);
/// "uint16", as in messages.
std::string name_of(VoxelType type);
/// What a tensor of such voxels has after reading: uint16 -> int32, uint32 and uint64 -> int64.
at::ScalarType tensor_type(VoxelType type);
/// Integer or float type of `bytes` bytes; used by formats that state sign and width apart.
VoxelType integer_type(std::int64_t bytes, bool is_signed);
/// The type a tensor is written with; half and bfloat16 become float32, bool uint8. Throws
/// shape_error for complex.
VoxelType file_type(at::ScalarType type);
/// The smallest integer type for [lowest, highest]; unsigned first.
VoxelType smallest_integer_type(std::int64_t lowest, std::int64_t highest);

/// Delivers the next bytes in file order, all of them or an exception.
using ByteSource = std::function<void(std::byte* destination, std::int64_t count)>;

/// A 1-D tensor of `count` values as `source` delivers them. `swapped`: the bytes of a value are in
/// the other order. Throws data_error naming `place` when a uint64 value exceeds int64.
at::Tensor decode_values(const ByteSource& source,
                         VoxelType type,
                         bool swapped,
                         std::int64_t count,
                         const std::string& place);

/// A contiguous CPU tensor whose memory holds `values` as `type` (unsigned types share the bits of
/// the signed ones). The values must fit; that is checked for integers.
at::Tensor encode_values(const at::Tensor& values, VoxelType type, const std::string& place);

/// Raw value * slope + intercept as float32; unchanged for 1 and 0.
at::Tensor rescaled(const at::Tensor& values, double slope, double intercept);

}  // namespace triptych
