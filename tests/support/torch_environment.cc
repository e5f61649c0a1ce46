// SPDX-License-Identifier: Apache-2.0
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

namespace {

/// Seeds LibTorch before every test of a binary that uses it.
class SeedTorch final : public ::testing::EmptyTestEventListener {
  void OnTestStart(const ::testing::TestInfo&) override { at::manual_seed(0); }
};

class TorchEnvironment final : public ::testing::Environment {
  void SetUp() override {
    at::set_num_threads(1);
    ::testing::UnitTest::GetInstance()->listeners().Append(new SeedTorch);
    at::manual_seed(0);
  }
};

[[maybe_unused]] const auto* const kEnvironment =
    ::testing::AddGlobalTestEnvironment(new TorchEnvironment);

}  // namespace
