// SPDX-License-Identifier: Apache-2.0
#include "framework/report/tensorboard_sink.h"

#include "framework/core/file.h"

#include "tests/report/scratch.h"

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {

using testing::HasSubstr;
using testing::Not;

// The messages of TensorFlow that an event file consists of, in the words of the Protocol Buffers
// compiler.
constexpr const char* kEventProto = R"(syntax = "proto3";
message PluginData { string plugin_name = 1; bytes content = 2; }
message SummaryMetadata { PluginData plugin_data = 1; string display_name = 2; }
message Dim { int64 size = 1; string name = 2; }
message TensorShape { repeated Dim dim = 2; bool unknown_rank = 3; }
message TensorProto {
  int32 dtype = 1;
  TensorShape tensor_shape = 2;
  repeated bytes string_val = 8;
}
message Summary {
  message Image {
    int32 height = 1;
    int32 width = 2;
    int32 colorspace = 3;
    bytes encoded_image_string = 4;
  }
  message Value {
    string tag = 1;
    oneof value { float simple_value = 2; Image image = 4; TensorProto tensor = 8; }
    SummaryMetadata metadata = 9;
  }
  repeated Value value = 1;
}
message SessionLog {
  enum Status { UNSPECIFIED = 0; START = 1; STOP = 2; CHECKPOINT = 3; }
  Status status = 1;
}
message Event {
  double wall_time = 1;
  int64 step = 2;
  oneof what { string file_version = 3; Summary summary = 5; SessionLog session_log = 7; }
}
)";

// Reads TFRecord framing, checks both checksums bit by bit, and lets protoc decode every payload.
constexpr const char* kDecoder = R"(import struct, subprocess, sys
def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff
def masked(data):
    crc = crc32c(data)
    return (((crc >> 15) | (crc << 17)) + 0xa282ead8) & 0xffffffff
data = open(sys.argv[1], 'rb').read()
at = 0
while at < len(data):
    header = data[at:at + 8]
    length, = struct.unpack('<Q', header)
    assert struct.unpack('<I', data[at + 8:at + 12])[0] == masked(header), 'checksum of length'
    payload = data[at + 12:at + 12 + length]
    assert len(payload) == length, 'torn record'
    checksum, = struct.unpack('<I', data[at + 12 + length:at + 16 + length])
    assert checksum == masked(payload), 'checksum of payload'
    at += 16 + length
    print('--- record')
    sys.stdout.flush()
    protoc = ['protoc', '--decode=Event', '--proto_path=' + sys.argv[2], 'event.proto']
    subprocess.run(protoc, input=payload, check=True)
)";

CommandResult decode(const std::filesystem::path& file) {
  const ScratchFolder scratch;
  std::ofstream(scratch / "event.proto") << kEventProto;
  std::ofstream(scratch / "decode.py") << kDecoder;
  return run_command("python3 '" + (scratch / "decode.py").string() + "' '" + file.string() +
                     "' '" + scratch.path().string() + "'");
}

bool decoder_is_missing() { return !program_exists("protoc") || !program_exists("python3"); }

TEST(Crc32c, AgreesWithTheValuesOfRfc3720) {
  EXPECT_EQ(crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62a8ab43u);
}

TEST(TensorBoardSink, FileNameFollowsTheConventionAndIsNew) {
  const ScratchFolder scratch;
  const TensorBoardSink first(scratch / "tb");
  const TensorBoardSink second(scratch / "tb");
  EXPECT_NE(first.path(), second.path());
  EXPECT_THAT(
      first.path().filename().string(),
      testing::ContainsRegex("^events\\.out\\.tfevents\\.[0-9]{10}\\..+\\.[0-9]+\\.[0-9]+$"));
}

TEST(TensorBoardSink, AnIndependentDecoderReadsValuesPicturesAndTexts) {
  if (decoder_is_missing()) GTEST_SKIP() << "needs python3 and protoc";
  const ScratchFolder scratch;
  TensorBoardSink sink(scratch / "tb");
  sink.write({.step = 7,
              .epoch = 0.5,
              .values = {{"loss/train", 0.25}, {"lr/default", 1e-3}},
              .phase = "train"});
  sink.write(
      {.step = 5'000'000'000, .epoch = 1, .values = {{"loss/train", -2.5}}, .phase = "train"});
  sink.write_picture(8, "image/case/axial", Picture(3, 2, kWhite));
  sink.write_text(0, "config", "seed: 1");
  sink.flush();
  const CommandResult decoded = decode(sink.path());
  ASSERT_EQ(decoded.exit_code, 0) << decoded.output;
  EXPECT_THAT(decoded.output, HasSubstr("file_version: \"brain.Event:2\""));
  EXPECT_THAT(
      decoded.output,
      HasSubstr("step: 7\nsummary {\n  value {\n    tag: \"loss/train\"\n    simple_value: 0.25"));
  EXPECT_THAT(decoded.output, HasSubstr("tag: \"lr/default\"\n    simple_value: 0.001"));
  EXPECT_THAT(decoded.output, HasSubstr("step: 5000000000"));
  EXPECT_THAT(decoded.output,
              HasSubstr("height: 2\n      width: 3\n      colorspace: 3\n      "
                        "encoded_image_string: \"\\211PNG"));
  EXPECT_THAT(decoded.output, HasSubstr("string_val: \"seed: 1\""));
  EXPECT_THAT(decoded.output, HasSubstr("plugin_name: \"text\""));
  EXPECT_THAT(decoded.output,
              Not(testing::ContainsRegex("\n *[0-9]+: ")));  // no field that the .proto lacks
}

// TensorBoard drops older events from the step of a START event on, but not at the first START of a
// run.
TEST(TensorBoardSink, ResumingTellsTensorBoardToForgetLaterSteps) {
  if (decoder_is_missing()) GTEST_SKIP() << "needs python3 and protoc";
  const ScratchFolder scratch;
  const TensorBoardSink begun(scratch / "tb");
  const TensorBoardSink resumed(scratch / "tb", 40);
  const CommandResult first = decode(begun.path());
  ASSERT_EQ(first.exit_code, 0) << first.output;
  EXPECT_THAT(first.output, HasSubstr("session_log {\n  status: START"));
  const CommandResult second = decode(resumed.path());
  ASSERT_EQ(second.exit_code, 0) << second.output;
  EXPECT_THAT(second.output, HasSubstr("step: 41\nsession_log {\n  status: START"));
}

TEST(TensorBoardSink, TheDecoderWouldNoticeADamagedFile) {
  if (decoder_is_missing()) GTEST_SKIP() << "needs python3 and protoc";
  const ScratchFolder scratch;
  const TensorBoardSink sink(scratch / "tb");
  std::string bytes = read_file(sink.path());
  bytes[20] ^= 1;
  write_file_atomically(scratch / "damaged", bytes);
  EXPECT_THAT(decode(scratch / "damaged").output, HasSubstr("checksum of payload"));
}

}  // namespace
}  // namespace triptych
