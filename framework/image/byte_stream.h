// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>

namespace triptych {

/// How the bytes after a header are stored.
enum class Coding {
  kRaw,
  kDeflate,  ///< zlib or gzip, one member or several
};

/// The bytes of a file from `offset` on, inflated where they are compressed.
class ByteStream {
 public:
  ByteStream(std::filesystem::path file, std::int64_t offset, Coding coding);
  ~ByteStream();
  ByteStream(const ByteStream&) = delete;
  ByteStream& operator=(const ByteStream&) = delete;

  /// Moves to `position`, counted in decoded bytes; in compressed data everything before it is
  /// decoded.
  void seek(std::int64_t position);
  /// Delivers up to `count` bytes; fewer only where the data end. Throws io_error when compressed
  /// data are damaged.
  std::int64_t read(std::byte* destination, std::int64_t count);
  /// Call after the last wanted byte: false when compressed data stop before their end mark, an
  /// error when their check sum is wrong. What follows the wanted bytes may be skipped unread when
  /// it is long.
  bool ends_well();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace triptych
