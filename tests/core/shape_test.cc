// SPDX-License-Identifier: Apache-2.0
#include "framework/core/shape.h"

#include "framework/core/torch_compat.h"

#include "tests/support/tensor_matchers.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {

TEST(CheckShape, SaysExpectedAndGot) {
  const std::string message = testing::error_message("shape", [] {
    check_shape(at::zeros({2, 16, 8, 8, 8}), {kAny, 32, kAny, kAny, kAny}, "features");
  });
  EXPECT_EQ(message, "features: expected shape [*, 32, *, *, *], got [2, 16, 8, 8, 8]");
}

TEST(CheckShape, AcceptsWildcardsAndRefusesOtherRanks) {
  EXPECT_NO_THROW(check_shape(at::zeros({2, 3}), {kAny, 3}, "x"));
  EXPECT_THROW(check_shape(at::zeros({2, 3}), {2}, "x"), Error);
  EXPECT_THROW(check_shape(at::Tensor(), {2}, "x"), Error);
}

TEST(CheckFinite, CountsWhatIsNot) {
  at::Tensor values = at::zeros({4});
  EXPECT_NO_THROW(check_finite(values, "image"));
  values[1] = std::nan("");
  EXPECT_EQ(testing::error_message("numeric", [&] { check_finite(values, "image"); }),
            "image: 1 of 4 values are NaN or infinite");
}

TEST(DeviceFromText, NamesWhatItAccepts) {
  EXPECT_TRUE(device_from_text("cpu").is_cpu());
  EXPECT_NO_THROW(device_from_text("auto"));
  EXPECT_NE(testing::error_message("schema", [] { device_from_text("gpu"); })
                .find("expected auto, cpu, cuda"),
            std::string::npos);
  EXPECT_NE(
      testing::error_message("schema", [] { device_from_text("cuda:99"); }).find("is not there"),
      std::string::npos);
}

TEST(Mish, TakesBfloat16) {
  const at::Tensor x = at::linspace(-5.0, 5.0, 101);
  EXPECT_TRUE(testing::near(
      plain_mish(x.to(at::kBFloat16)), x * at::tanh(at::softplus(x)), 0.03, 0.02));
}

}  // namespace
}  // namespace triptych
