// SPDX-License-Identifier: Apache-2.0
#include "framework/infer/padding.h"

#include "framework/core/shape.h"

#include <ATen/ATen.h>

namespace triptych {

at::Tensor pad_to_multiple(const at::Tensor& x, const std::array<std::int64_t, 3>& multiple) {
  check_shape(x, {kAny, kAny, kAny, kAny, kAny}, "image");
  at::Tensor result = x;
  for (std::int64_t axis = 0; axis < 3; ++axis) {
    const std::int64_t size = x.size(2 + axis), step = multiple[static_cast<std::size_t>(axis)];
    const std::int64_t padded = (size + step - 1) / step * step;
    if (padded == size) continue;
    const at::Tensor index =
        at::arange(padded, at::TensorOptions(at::kLong).device(x.device())).clamp_max(size - 1);
    result = result.index_select(2 + axis, index);
  }
  return result;
}

at::Tensor crop_to(const at::Tensor& x, const std::array<std::int64_t, 3>& size) {
  at::Tensor result = x;
  for (std::int64_t axis = 0; axis < 3; ++axis)
    result = result.narrow(2 + axis, 0, size[static_cast<std::size_t>(axis)]);
  return result;
}

}  // namespace triptych
