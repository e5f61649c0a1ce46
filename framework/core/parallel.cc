// SPDX-License-Identifier: Apache-2.0
#include "framework/core/parallel.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace triptych {
namespace {

std::atomic<int> configured_threads{0};
thread_local bool inside_parallel_region = false;

}  // namespace

void set_num_threads(int threads) { configured_threads = threads; }

int num_threads() {
  const int configured = configured_threads;
  return configured > 0 ? configured : std::max(1U, std::thread::hardware_concurrency());
}

void parallel_for(std::int64_t count,
                  std::int64_t grain,
                  const std::function<void(std::int64_t, std::int64_t)>& body) {
  if (count <= 0) return;
  grain = std::max<std::int64_t>(1, grain);
  const std::int64_t chunks = (count + grain - 1) / grain;
  std::atomic<std::int64_t> next{0};
  std::exception_ptr failure;
  std::mutex failure_mutex;
  const auto work = [&] {
    const bool was_inside = std::exchange(inside_parallel_region, true);
    try {
      for (std::int64_t chunk = next++; chunk < chunks; chunk = next++) {
        body(chunk * grain, std::min(count, (chunk + 1) * grain));
      }
    } catch (...) {
      next = chunks;
      const std::scoped_lock lock(failure_mutex);
      if (!failure) failure = std::current_exception();
    }
    inside_parallel_region = was_inside;
  };
  const std::int64_t workers =
      inside_parallel_region ? 1 : std::min<std::int64_t>(num_threads(), chunks);
  std::vector<std::jthread> threads;
  for (std::int64_t i = 1; i < workers; ++i) threads.emplace_back(work);
  work();
  threads.clear();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace triptych
