// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/mish.h"

#include "framework/core/nn.h"
#include "framework/core/torch_compat.h"
#include "framework/ops/mish_kernel.h"

namespace triptych {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// By operators, so that it can be differentiated again.
at::Tensor differentiable_slope(const at::Tensor& x) {
  const at::Tensor factor = torch::tanh(torch::softplus(x));
  return factor + x * torch::sigmoid(x) * (1.0 - factor * factor);
}

struct MishFunction : torch::autograd::Function<MishFunction> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x) {
    context->save_for_backward({x});
    return dense_mish(x);
  }
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const at::Tensor x = context->get_saved_variables()[0];
    if (at::GradMode::is_enabled()) return {gradients[0] * differentiable_slope(x)};
    return {dense_mish_backward(x, gradients[0])};
  }
};

}  // namespace

at::Tensor mish(const at::Tensor& x) {
  const bool served =
      x.is_cpu() && x.scalar_type() == at::kFloat && x.is_non_overlapping_and_dense();
  return served ? MishFunction::apply(x) : plain_mish(x);
}

}  // namespace triptych
