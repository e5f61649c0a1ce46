// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

#include <ATen/core/Tensor.h>

namespace triptych {

/// [..., D, rows, columns] as [slices, rows, columns], contiguous, half types as float32. Throws
/// shape_error naming `name` for other sizes, fewer than three axes or integers.
at::Tensor as_slices(const at::Tensor& tensor,
                     std::int64_t rows,
                     std::int64_t columns,
                     std::string_view name);

/// The result [slices, rows, columns] with the leading axes of `like`.
at::Tensor with_leading_axes(const at::Tensor& slices, const at::Tensor& like);

/// Whether the kernels on packed slices take it.
inline bool runs_on_kernels(const at::Tensor& tensor) {
  return tensor.is_cpu() && tensor.scalar_type() == at::kFloat;
}

}  // namespace triptych
