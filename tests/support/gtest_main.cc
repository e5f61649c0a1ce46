// SPDX-License-Identifier: Apache-2.0
#include "framework/core/parallel.h"

#include <csignal>
#include <cstdlib>

#include <gtest/gtest.h>

namespace {

/// The same start for every test, whatever ran before it.
class ResetBeforeEachTest final : public ::testing::EmptyTestEventListener {
  void OnTestStart(const ::testing::TestInfo&) override {
    std::srand(0);
    triptych::set_num_threads(2);
  }
};

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  ::testing::InitGoogleTest(&argc, argv);
  ::testing::UnitTest::GetInstance()->listeners().Append(new ResetBeforeEachTest);
  return RUN_ALL_TESTS();
}
