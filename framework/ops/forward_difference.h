// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace triptych {

// The gradient of total variation, one axis at a time.

/// u(x + 1) - u(x) along `axis`, 0 at the last element; of u's shape.
at::Tensor forward_difference(const at::Tensor& u, std::int64_t axis);

/// Adds `factor` times the negative adjoint of forward_difference, p(x) - p(x - 1) without the last
/// element of p, to `sum`.
void add_divergence(at::Tensor& sum, const at::Tensor& p, std::int64_t axis, double factor);

}  // namespace triptych
