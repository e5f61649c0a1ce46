// SPDX-License-Identifier: Apache-2.0
#include "framework/core/safetensors.h"

#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/core/random.h"

#include "tests/support/tensor_matchers.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {
namespace fs = std::filesystem;

class SafeTensorsTest : public ::testing::Test {
 protected:
  fs::path path_ = fs::path(::testing::TempDir()) / "triptych.safetensors";
  void TearDown() override { fs::remove(path_); }
  std::string failure(const std::string& bytes) {
    write_file_atomically(path_, bytes);
    return testing::error_message("io", [&] { read_safetensors(path_); });
  }
  static std::string file(const std::string& header, const std::string& data) {
    std::string bytes;
    for (int i = 0; i < 8; ++i) bytes.push_back(static_cast<char>(header.size() >> (8 * i)));
    return bytes + header + data;
  }
};

TEST_F(SafeTensorsTest, KeepsEveryTypeShapeAndByte) {
  NamedTensors tensors;
  for (const auto type : {at::kFloat,
                          at::kDouble,
                          at::kHalf,
                          at::kBFloat16,
                          at::kLong,
                          at::kInt,
                          at::kShort,
                          at::kChar,
                          at::kByte,
                          at::kBool}) {
    tensors.emplace_back(std::string("t") + c10::toString(type),
                         at::arange(6).reshape({2, 3}).to(type));
  }
  tensors.emplace_back("scalar", at::scalar_tensor(1.5));
  tensors.emplace_back("empty", at::empty({0, 4}));
  tensors.emplace_back("strided", at::arange(6.0).reshape({2, 3}).t());
  write_safetensors(path_, tensors, {{"format", "triptych"}});
  const SafeTensors read = read_safetensors(path_);
  EXPECT_EQ(read.metadata.at("format"), "triptych");
  ASSERT_EQ(read.tensors.size(), tensors.size());
  for (const auto& [name, tensor] : tensors) {
    ASSERT_TRUE(read.find(name).defined()) << name;
    EXPECT_EQ(read.find(name).scalar_type(), tensor.scalar_type());
    EXPECT_TRUE(at::equal(read.find(name), tensor)) << name;
  }
}

TEST_F(SafeTensorsTest, ReadsTheFormatsOwnExample) {
  const std::string header = R"({"weight":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
  write_file_atomically(path_, file(header, std::string("\0\0\x80\x3f\0\0\0\x40", 8)));
  EXPECT_TRUE(testing::near(read_safetensors(path_).find("weight"), at::tensor({1.0F, 2.0F}), 0.0));
}

TEST_F(SafeTensorsTest, RefusesHostileFiles) {
  EXPECT_NE(failure("").find("truncated"), std::string::npos);
  EXPECT_NE(failure(std::string(8, '\xff')).find("does not fit"), std::string::npos);
  EXPECT_NE(failure(file("[1]", "")).find("no JSON object"), std::string::npos);
  EXPECT_NE(failure(file(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", "1234"))
                .find("do not fit the shape"),
            std::string::npos);
  EXPECT_NE(failure(file(R"({"a":{"dtype":"F99","shape":[1],"data_offsets":[0,4]}})", "1234"))
                .find("unknown dtype"),
            std::string::npos);
  EXPECT_NE(failure(file(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", "12"))
                .find("outside the file"),
            std::string::npos);
  EXPECT_NE(failure(file(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", "123456"))
                .find("follow the last"),
            std::string::npos);
  EXPECT_NE(
      failure(
          file(
              R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
              "1"))
          .find("twice"),
      std::string::npos);
  EXPECT_NE(
      failure(
          file(R"({"a":{"dtype":"U8","shape":[4611686018427387904,4],"data_offsets":[0,1]}})", "1"))
          .find("too large"),
      std::string::npos);
  EXPECT_NE(
      failure(
          file(
              R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})",
              "123"))
          .find("overlaps"),
      std::string::npos);
}

TEST_F(SafeTensorsTest, SurvivesRandomDamage) {
  write_safetensors(path_, {{"a", at::ones({4, 4})}, {"b", at::zeros({3})}});
  const std::string good = read_file(path_);
  RandomStream random(1);
  for (int i = 0; i < 500; ++i) {
    std::string bad = good.substr(
        0, static_cast<std::size_t>(random.integer(static_cast<std::int64_t>(good.size()))) + 1);
    bad[static_cast<std::size_t>(random.integer(static_cast<std::int64_t>(bad.size())))] =
        static_cast<char>(random.integer(256));
    write_file_atomically(path_, bad);
    try {
      read_safetensors(path_);
    } catch (const Error&) {  // refused with a message is as good as read
    }
  }
}

}  // namespace
}  // namespace triptych
