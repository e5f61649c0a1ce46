// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/forward_difference.h"

#include <ATen/ATen.h>

namespace triptych {

at::Tensor forward_difference(const at::Tensor& u, std::int64_t axis) {
  const std::int64_t length = u.size(axis);
  at::Tensor result = at::zeros_like(u);
  result.narrow(axis, 0, length - 1)
      .copy_(u.narrow(axis, 1, length - 1) - u.narrow(axis, 0, length - 1));
  return result;
}

void add_divergence(at::Tensor& sum, const at::Tensor& p, std::int64_t axis, double factor) {
  const std::int64_t length = p.size(axis);
  const at::Tensor inner = p.narrow(axis, 0, length - 1);
  sum.narrow(axis, 0, length - 1).add_(inner, factor);
  sum.narrow(axis, 1, length - 1).sub_(inner, factor);
}

}  // namespace triptych
