// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/slice_tensors.h"

#include "framework/core/error.h"

#include <string>
#include <vector>

#include <ATen/ATen.h>

namespace triptych {

at::Tensor as_slices(const at::Tensor& tensor,
                     std::int64_t rows,
                     std::int64_t columns,
                     std::string_view name) {
  if (tensor.dim() < 3 || tensor.size(-2) != rows || tensor.size(-1) != columns ||
      !tensor.is_floating_point()) {
    std::string sizes;
    for (const std::int64_t size : tensor.sizes())
      sizes += (sizes.empty() ? "" : ", ") + std::to_string(size);
    throw shape_error(
        fmt::format("{}: expected floating-point values of shape [..., D, {}, {}], got [{}] of {}",
                    name,
                    rows,
                    columns,
                    sizes,
                    c10::toString(tensor.scalar_type())));
  }
  const bool half = tensor.scalar_type() == at::kHalf || tensor.scalar_type() == at::kBFloat16;
  const at::Tensor values = half ? tensor.to(at::kFloat) : tensor;
  return values.reshape({-1, rows, columns}).contiguous();
}

at::Tensor with_leading_axes(const at::Tensor& slices, const at::Tensor& like) {
  std::vector<std::int64_t> sizes = like.sizes().vec();
  sizes[sizes.size() - 2] = slices.size(1);
  sizes[sizes.size() - 1] = slices.size(2);
  return slices.view(sizes);
}

}  // namespace triptych
