// SPDX-License-Identifier: Apache-2.0
#include "framework/core/parallel.h"

#include <atomic>
#include <stdexcept>
#include <vector>

#include <gtest/gtest.h>

namespace triptych {
namespace {

TEST(ParallelFor, VisitsEveryIndexOnceForAnyNumberOfThreads) {
  for (const int threads : {1, 2, 5}) {
    set_num_threads(threads);
    std::vector<std::atomic<int>> visits(1001);
    parallel_for(1001, 10, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) ++visits[static_cast<std::size_t>(i)];
    });
    for (const auto& count : visits) EXPECT_EQ(count, 1);
  }
}

TEST(ParallelFor, RethrowsAnExceptionOfABody) {
  set_num_threads(3);
  const auto fail = [] {
    parallel_for(100, 1, [](std::int64_t begin, std::int64_t) {
      if (begin == 50) throw std::runtime_error("50");
    });
  };
  EXPECT_THROW(fail(), std::runtime_error);
}

TEST(ParallelFor, RunsNestedCallsSerially) {
  set_num_threads(2);
  std::atomic<int> count{0};
  parallel_for(4, 1, [&](std::int64_t, std::int64_t) {
    parallel_for(4, 1, [&](std::int64_t begin, std::int64_t end) {
      count += static_cast<int>(end - begin);
    });
  });
  EXPECT_EQ(count, 16);
}

TEST(ParallelFor, DoesNothingForNothing) {
  parallel_for(0, 1, [](std::int64_t, std::int64_t) { FAIL(); });
}

}  // namespace
}  // namespace triptych
