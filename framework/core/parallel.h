// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>

namespace triptych {

/// Threads used by parallel_for (and, through the app, by LibTorch and ITK); 0 = all cores.
void set_num_threads(int threads);
int num_threads();

/// Calls `body(begin, end)` on disjoint chunks that cover [0, count), each chunk at least `grain`
/// long, from up to num_threads() threads including the caller. Chunk borders depend on `count` and
/// `grain` alone, so reductions that are combined per chunk in order give the same bits for every
/// number of threads. The first exception is rethrown. Calls from inside a body run serially.
void parallel_for(std::int64_t count,
                  std::int64_t grain,
                  const std::function<void(std::int64_t, std::int64_t)>& body);

}  // namespace triptych
