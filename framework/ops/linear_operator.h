// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include <ATen/core/Tensor.h>

namespace triptych {

/// y = A x and x = A' y on tensors without gradients; constant and safe to share between threads.
class LinearOperator {
 public:
  virtual ~LinearOperator() = default;
  virtual at::Tensor apply(const at::Tensor& x) const = 0;
  virtual at::Tensor apply_adjoint(const at::Tensor& y) const = 0;
};

/// A x with the gradient A' dy, differentiable any number of times.
at::Tensor differentiable_apply(std::shared_ptr<const LinearOperator> a, const at::Tensor& x);
/// A' y with the gradient A dx.
at::Tensor differentiable_adjoint(std::shared_ptr<const LinearOperator> a, const at::Tensor& y);

}  // namespace triptych
