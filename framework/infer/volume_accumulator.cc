// SPDX-License-Identifier: Apache-2.0
#include "framework/infer/volume_accumulator.h"

#include "framework/core/parallel.h"

#include <algorithm>

namespace triptych {
namespace {

constexpr std::int64_t kGrain = 1 << 16;
constexpr std::int64_t kBlock = 1 << 22;

}  // namespace

void for_voxel_blocks(std::int64_t voxels,
                      const std::function<void(std::int64_t begin, std::int64_t end)>& body,
                      const std::function<void()>& release) {
  for (std::int64_t start = 0; start < voxels; start += kBlock) {
    parallel_for(std::min(kBlock, voxels - start),
                 kGrain,
                 [&](std::int64_t begin, std::int64_t end) { body(start + begin, start + end); });
    release();
  }
}

}  // namespace triptych
