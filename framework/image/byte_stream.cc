// SPDX-License-Identifier: Apache-2.0
#include "framework/image/byte_stream.h"

#include "framework/core/error.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>
#include <zlib.h>

namespace triptych {

struct ByteStream::State {
  static constexpr std::int64_t kBuffer = 1 << 18;

  std::filesystem::path file;
  std::int64_t offset = 0;
  Coding coding = Coding::kRaw;
  int descriptor = -1;
  std::int64_t file_position = 0;  ///< of the next byte to take from the file
  std::int64_t position = 0;       ///< of the next byte to deliver
  std::vector<std::byte> buffer;
  z_stream inflater{};
  bool ended = false;

  void start_inflating() {
    inflater = z_stream{};
    // 15 + 32: the largest window, zlib or gzip header found by itself.
    TRIPTYCH_ASSERT(inflateInit2(&inflater, 15 + 32) == Z_OK);
    file_position = offset;
    position = 0;
    ended = false;
  }

  std::int64_t take(std::byte* destination, std::int64_t count) {
    std::int64_t done = 0;
    while (done < count) {
      const ssize_t got = ::pread(descriptor, destination + done, count - done, file_position);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) {
        throw io_error(fmt::format("{}: cannot be read: {}", file.string(), std::strerror(errno)));
      }
      if (got == 0) break;
      done += got;
      file_position += got;
    }
    return done;
  }

  bool refill() {
    const std::int64_t got = take(buffer.data(), kBuffer);
    inflater.next_in = reinterpret_cast<Bytef*>(buffer.data());
    inflater.avail_in = static_cast<uInt>(got);
    return got > 0;
  }

  std::int64_t inflate_into(std::byte* destination, std::int64_t count) {
    std::int64_t done = 0;
    while (done < count && !ended) {
      if (inflater.avail_in == 0 && !refill()) break;
      const auto room = static_cast<uInt>(std::min<std::int64_t>(count - done, 1 << 30));
      inflater.next_out = reinterpret_cast<Bytef*>(destination + done);
      inflater.avail_out = room;
      const int code = inflate(&inflater, Z_NO_FLUSH);
      done += room - inflater.avail_out;
      if (code == Z_STREAM_END) {
        next_member();
      } else if (code != Z_OK && code != Z_BUF_ERROR) {
        throw io_error(fmt::format("{}: compressed voxels are damaged ({})",
                                   file.string(),
                                   inflater.msg != nullptr ? inflater.msg : "zlib error"),
                       "copy or download the file again");
      }
    }
    return done;
  }

  /// gzip files may be several members in a row; anything else after the end is padding.
  void next_member() {
    if (inflater.avail_in == 0) refill();
    const bool gzip = inflater.avail_in > 0 && *inflater.next_in == 0x1f;
    ended = !gzip;
    if (gzip) inflateReset(&inflater);
  }
};

ByteStream::ByteStream(std::filesystem::path file, std::int64_t offset, Coding coding)
    : state_(std::make_unique<State>()) {
  state_->file = std::move(file);
  state_->offset = offset;
  state_->coding = coding;
  state_->file_position = offset;
  state_->descriptor = ::open(state_->file.c_str(), O_RDONLY | O_CLOEXEC);
  if (state_->descriptor < 0) {
    throw io_error(
        fmt::format("{}: cannot be read: {}", state_->file.string(), std::strerror(errno)));
  }
  if (coding == Coding::kDeflate) {
    state_->buffer.resize(State::kBuffer);
    state_->start_inflating();
  }
}

ByteStream::~ByteStream() {
  if (state_->coding == Coding::kDeflate) inflateEnd(&state_->inflater);
  if (state_->descriptor >= 0) ::close(state_->descriptor);
}

void ByteStream::seek(std::int64_t position) {
  if (state_->coding == Coding::kRaw) {
    state_->position = position;
    state_->file_position = state_->offset + position;
    return;
  }
  if (position < state_->position) {
    inflateEnd(&state_->inflater);
    state_->start_inflating();
  }
  std::vector<std::byte> skipped(
      std::min<std::int64_t>(State::kBuffer, position - state_->position));
  while (state_->position < position) {
    const auto step = std::min<std::int64_t>(skipped.size(), position - state_->position);
    if (read(skipped.data(), step) < step) return;  // the next read reports the end
  }
}

bool ByteStream::ends_well() {
  if (state_->coding == Coding::kRaw) return true;
  std::vector<std::byte> rest(State::kBuffer);
  if (read(rest.data(), State::kBuffer) == State::kBuffer)
    return true;  // other data follow the wanted ones
  return state_->ended;
}

std::int64_t ByteStream::read(std::byte* destination, std::int64_t count) {
  const std::int64_t done = state_->coding == Coding::kRaw
                                ? state_->take(destination, count)
                                : state_->inflate_into(destination, count);
  state_->position += done;
  return done;
}

}  // namespace triptych
