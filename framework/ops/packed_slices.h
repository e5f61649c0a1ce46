// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace triptych {

/// Up to 64 slices with the slice as innermost axis, so that one vector instruction handles 16 of
/// them: float32 [rows + 2, columns + 3, lanes], with zeros about the pixels (one row and column
/// before, one row and two columns after them) and in lanes without a slice.
class PackedSlices {
 public:
  static constexpr std::int64_t kMaxLanes = 64;

  /// All zero. `lanes` is 16, 32 or 64.
  PackedSlices(std::int64_t rows, std::int64_t columns, std::int64_t lanes);

  std::int64_t rows() const { return rows_; }
  std::int64_t columns() const { return columns_; }
  std::int64_t lanes() const { return lanes_; }
  std::int64_t column_stride() const { return lanes_; }                ///< in floats
  std::int64_t row_stride() const { return (columns_ + 3) * lanes_; }  ///< in floats

  float* at(std::int64_t row, std::int64_t column) {
    return values_ + (row + 1) * row_stride() + (column + 1) * lanes_;
  }
  const float* at(std::int64_t row, std::int64_t column) const {
    return const_cast<PackedSlices*>(this)->at(row, column);
  }

  /// Slices `first`, `first + 1`, ... of a contiguous float32 tensor [slices, rows, columns].
  void load(const at::Tensor& slices, std::int64_t first);
  void store(at::Tensor& slices, std::int64_t first) const;

  /// Lanes to pack the slices that are left in: the fewest that hold them, within 64 and within
  /// about a gigabyte for `values_per_slice`.
  static std::int64_t lanes_for(std::int64_t slices_left, std::int64_t values_per_slice);

 private:
  std::int64_t rows_, columns_, lanes_;
  at::Tensor storage_;
  float* values_;
};

/// Runs `kernel(from, to)` on as many slices at a time as one pack holds, from [slices, ..., ...]
/// to `result` [slices, ..., ...], both contiguous float32; `to` starts as zeros.
template <class Kernel>
void for_packed(const at::Tensor& slices, at::Tensor& result, Kernel kernel) {
  const std::int64_t count = slices.size(0);
  const std::int64_t values = slices.size(1) * slices.size(2) + result.size(1) * result.size(2);
  for (std::int64_t first = 0; first < count;) {
    const std::int64_t lanes = PackedSlices::lanes_for(count - first, values);
    PackedSlices from(slices.size(1), slices.size(2), lanes);
    PackedSlices to(result.size(1), result.size(2), lanes);
    from.load(slices, first);
    kernel(from, to);
    to.store(result, first);
    first += lanes;
  }
}

}  // namespace triptych
