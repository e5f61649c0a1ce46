// SPDX-License-Identifier: Apache-2.0
#include "framework/report/tensorboard_sink.h"

#include "framework/core/error.h"

#include <array>
#include <atomic>
#include <bit>
#include <chrono>

#include <unistd.h>

namespace triptych {
namespace fs = std::filesystem;
namespace {

constexpr std::array<std::uint32_t, 256> make_crc_table() {
  constexpr std::uint32_t kPolynomial = 0x82f63b78;  // 0x1edc6f41 with its bits reversed
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = crc & 1 ? crc >> 1 ^ kPolynomial : crc >> 1;
    table[i] = crc;
  }
  return table;
}
constexpr std::array<std::uint32_t, 256> kCrcTable = make_crc_table();

// A checksum of data that holds checksums is weak, hence TFRecord stores a rotated and shifted one.
std::uint32_t masked_crc32c(std::string_view bytes) {
  return std::rotr(crc32c(bytes), 15) + 0xa282ead8u;
}

void put_little_endian(std::string& out, std::uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i) & 0xff);
}

/// One Protocol Buffers message in the making; field numbers are those of the .proto files named at
/// the uses.
class Message {
 public:
  Message& integer(int field, std::int64_t value) {
    key(field, 0);
    varint(static_cast<std::uint64_t>(value));
    return *this;
  }
  Message& float64(int field, double value) {
    key(field, 1);
    put_little_endian(bytes_, std::bit_cast<std::uint64_t>(value), 8);
    return *this;
  }
  Message& float32(int field, float value) {
    key(field, 5);
    put_little_endian(bytes_, std::bit_cast<std::uint32_t>(value), 4);
    return *this;
  }
  Message& text(int field, std::string_view value) {
    key(field, 2);
    varint(value.size());
    bytes_ += value;
    return *this;
  }
  Message& message(int field, const Message& value) { return text(field, value.bytes_); }
  const std::string& bytes() const { return bytes_; }

 private:
  void key(int field, int wire_type) { varint(static_cast<std::uint64_t>(field << 3 | wire_type)); }
  void varint(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_ += static_cast<char>(value | 0x80);
    bytes_ += static_cast<char>(value);
  }
  std::string bytes_;
};

double seconds_since_1970() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// tensorflow/core/util/event.proto, Event: wall_time = 1, step = 2.
Message event_at(std::int64_t step) {
  Message event;
  event.float64(1, seconds_since_1970()).integer(2, step);
  return event;
}

/// TFRecord: length as 8 bytes, masked CRC of these, payload, masked CRC of the payload; all little
/// endian.
std::string tf_record(const std::string& payload) {
  std::string record;
  put_little_endian(record, payload.size(), 8);
  put_little_endian(record, masked_crc32c(record), 4);
  record += payload;
  put_little_endian(record, masked_crc32c(payload), 4);
  return record;
}

// The event with one Summary.Value (Event.summary = 5, Summary.value = 1).
std::string summary_record(std::int64_t step, const Message& value) {
  return tf_record(event_at(step).message(5, Message().message(1, value)).bytes());
}

fs::path new_event_file(const fs::path& folder) {
  static std::atomic<int> count = 0;
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) != 0 || host[0] == '\0') host = {"localhost"};
  while (true) {
    fs::path path = folder / fmt::format("events.out.tfevents.{}.{}.{}.{}",
                                         static_cast<std::int64_t>(seconds_since_1970()),
                                         host.data(),
                                         ::getpid(),
                                         count++);
    if (!fs::exists(path)) return path;
  }
}

}  // namespace

std::uint32_t crc32c(std::string_view bytes) {
  std::uint32_t crc = ~0u;
  for (const char c : bytes)
    crc = crc >> 8 ^ kCrcTable[(crc ^ static_cast<std::uint8_t>(c)) & 0xff];
  return ~crc;
}

TensorBoardSink::TensorBoardSink(const fs::path& folder, std::optional<std::int64_t> resume_step)
    : file_(new_event_file(folder)) {
  // Event.file_version = 3.
  file_.append(
      tf_record(Message().float64(1, seconds_since_1970()).text(3, "brain.Event:2").bytes()));
  // Event.session_log = 7, SessionLog.status = 1, START = 1: TensorBoard drops events of older
  // files at this step and later ones. It takes the first START of a folder for the begin of the
  // run, so a new run says START, too.
  const std::int64_t first_step = resume_step ? *resume_step + 1 : 0;
  file_.append(tf_record(event_at(first_step).message(7, Message().integer(1, 1)).bytes()));
}

void TensorBoardSink::write(const MetricRow& row) {
  Message summary;
  for (const auto& [name, value] : row.values) {
    // Summary.Value: tag = 1, simple_value = 2.
    summary.message(1, Message().text(1, name).float32(2, static_cast<float>(value)));
  }
  if (!row.values.empty()) file_.append(tf_record(event_at(row.step).message(5, summary).bytes()));
}

void TensorBoardSink::flush() { file_.sync(); }

void TensorBoardSink::write_picture(std::int64_t step,
                                    const std::string& tag,
                                    const Picture& picture) {
  constexpr int kRgb = 3;
  // Summary.Image: height = 1, width = 2, colorspace = 3, encoded_image_string = 4.
  Message image;
  image.integer(1, picture.height)
      .integer(2, picture.width)
      .integer(3, kRgb)
      .text(4, encode_png(picture));
  file_.append(summary_record(step, Message().text(1, tag).message(4, image)));
}

void TensorBoardSink::write_text(std::int64_t step,
                                 const std::string& tag,
                                 const std::string& markdown) {
  constexpr int kString = 7;
  // TensorProto: dtype = 1, tensor_shape = 2 (dim = 2, size = 1), string_val = 8.
  const Message shape = Message().message(2, Message().integer(1, 1));
  const Message tensor = Message().integer(1, kString).message(2, shape).text(8, markdown);
  // Summary.Value: tensor = 8, metadata = 9; SummaryMetadata.plugin_data = 1,
  // PluginData.plugin_name = 1.
  const Message metadata = Message().message(1, Message().text(1, "text"));
  file_.append(
      summary_record(step, Message().text(1, tag).message(8, tensor).message(9, metadata)));
}

}  // namespace triptych
