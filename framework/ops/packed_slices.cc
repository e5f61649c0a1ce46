// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/packed_slices.h"

#include "framework/core/error.h"
#include "framework/core/parallel.h"

#include <algorithm>

#include <ATen/ATen.h>
#if defined(__linux__)
#include <sys/mman.h>
#endif

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("O3")
#endif

namespace triptych {
namespace {

constexpr std::int64_t kWorkspaceFloats = std::int64_t{1} << 28;
constexpr std::int64_t kRowsAtOnce = 8;
constexpr std::int64_t kBlock = 16;  ///< values of a slice that are moved together: a cache line

/// Asks for huge pages: rows lie so far apart that small pages would miss the translation cache.
void advise_huge_pages(void* data, std::size_t bytes) {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  constexpr std::uintptr_t kPage = std::uintptr_t{1} << 21;
  const auto address = reinterpret_cast<std::uintptr_t>(data);
  const std::uintptr_t begin = (address + kPage - 1) / kPage * kPage;
  const std::uintptr_t end = (address + bytes) / kPage * kPage;
  if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
#else
  static_cast<void>(data), static_cast<void>(bytes);
#endif
}

}  // namespace

PackedSlices::PackedSlices(std::int64_t rows, std::int64_t columns, std::int64_t lanes)
    : rows_(rows), columns_(columns), lanes_(lanes) {
  TRIPTYCH_ASSERT(lanes == 16 || lanes == 32 || lanes == 64);
  const std::int64_t packed_rows = rows + 2;
  storage_ = at::empty({packed_rows * row_stride()}, at::kFloat);
  values_ = storage_.data_ptr<float>();
  advise_huge_pages(values_, storage_.nbytes());
  parallel_for(packed_rows, kRowsAtOnce, [&](std::int64_t begin, std::int64_t end) {
    std::fill(values_ + begin * row_stride(), values_ + end * row_stride(), 0.0F);
  });
}

void PackedSlices::load(const at::Tensor& slices, std::int64_t first) {
  const std::int64_t count = std::min(lanes_, slices.size(0) - first), size = rows_ * columns_;
  const float* source = slices.data_ptr<float>() + first * size;
  parallel_for(rows_, kRowsAtOnce, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      for (std::int64_t column = 0; column < columns_; column += kBlock) {
        const std::int64_t width = std::min(kBlock, columns_ - column);
        float* target = at(row, column);
        for (std::int64_t slice = 0; slice < count; ++slice) {
          const float* values = source + slice * size + row * columns_ + column;
          for (std::int64_t i = 0; i < width; ++i) target[i * lanes_ + slice] = values[i];
        }
      }
    }
  });
}

void PackedSlices::store(at::Tensor& slices, std::int64_t first) const {
  const std::int64_t count = std::min(lanes_, slices.size(0) - first), size = rows_ * columns_;
  float* target = slices.data_ptr<float>() + first * size;
  parallel_for(rows_, kRowsAtOnce, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      for (std::int64_t column = 0; column < columns_; column += kBlock) {
        const std::int64_t width = std::min(kBlock, columns_ - column);
        const float* source = at(row, column);
        for (std::int64_t slice = 0; slice < count; ++slice) {
          float* values = target + slice * size + row * columns_ + column;
          for (std::int64_t i = 0; i < width; ++i) values[i] = source[i * lanes_ + slice];
        }
      }
    }
  });
}

std::int64_t PackedSlices::lanes_for(std::int64_t slices_left, std::int64_t values_per_slice) {
  std::int64_t lanes = 16;
  while (lanes < kMaxLanes && lanes < slices_left &&
         2 * lanes * values_per_slice <= kWorkspaceFloats)
    lanes *= 2;
  return lanes;
}

}  // namespace triptych
