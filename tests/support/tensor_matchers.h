// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/core/error.h"

#include <string>

#include <ATen/ATen.h>
#include <fmt/core.h>
#include <gtest/gtest.h>

namespace triptych::testing {

/// EXPECT_TRUE(near(actual, expected, 1e-5)): equal shape and |actual - expected| <= atol + rtol
/// |expected| everywhere.
inline ::testing::AssertionResult near(const at::Tensor& actual,
                                       const at::Tensor& expected,
                                       double atol,
                                       double rtol = 0.0) {
  if (actual.sizes() != expected.sizes()) {
    return ::testing::AssertionFailure()
           << "shape " << actual.sizes() << " instead of " << expected.sizes();
  }
  const at::Tensor a = actual.to(at::kDouble);
  const at::Tensor b = expected.to(at::kDouble);
  const at::Tensor excess = (a - b).abs() - (atol + rtol * b.abs());
  if (actual.numel() == 0 || (excess.max().item<double>() <= 0.0))
    return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure()
         << "largest difference " << (a - b).abs().max().item<double>() << ", allowed " << atol
         << " + " << rtol << " * |expected|";
}

/// Runs `body`, which must throw triptych::Error of `category`, and returns its message ("" and a
/// failure otherwise).
template <class Body>
std::string error_message(const char* category, Body body) {
  try {
    body();
  } catch (const Error& error) {
    EXPECT_EQ(error.category(), category) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "no error was thrown, expected category " << category;
  return "";
}

}  // namespace triptych::testing
