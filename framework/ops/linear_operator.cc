// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/linear_operator.h"

#include <torch/csrc/autograd/custom_function.h>

namespace triptych {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// What the backward pass must know; LibTorch keeps it as an opaque value.
struct Application : torch::CustomClassHolder {
  Application(std::shared_ptr<const LinearOperator> applied, bool as_adjoint)
      : a(std::move(applied)), adjoint(as_adjoint) {}
  std::shared_ptr<const LinearOperator> a;
  bool adjoint;
};

at::Tensor differentiable(std::shared_ptr<const LinearOperator> a,
                          const at::Tensor& x,
                          bool adjoint);

struct LinearFunction : torch::autograd::Function<LinearFunction> {
  static at::Tensor forward(AutogradContext* context,
                            const at::Tensor& x,
                            const c10::intrusive_ptr<Application>& application) {
    context->saved_data["application"] = c10::IValue::make_capsule(application);
    const at::Tensor values = x.detach();
    return application->adjoint ? application->a->apply_adjoint(values)
                                : application->a->apply(values);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto application = c10::static_intrusive_pointer_cast<Application>(
        context->saved_data["application"].toCapsule());
    return {differentiable(application->a, gradients[0], !application->adjoint), at::Tensor()};
  }
};

at::Tensor differentiable(std::shared_ptr<const LinearOperator> a,
                          const at::Tensor& x,
                          bool adjoint) {
  return LinearFunction::apply(x, c10::make_intrusive<Application>(std::move(a), adjoint));
}

}  // namespace

at::Tensor differentiable_apply(std::shared_ptr<const LinearOperator> a, const at::Tensor& x) {
  return differentiable(std::move(a), x, false);
}

at::Tensor differentiable_adjoint(std::shared_ptr<const LinearOperator> a, const at::Tensor& y) {
  return differentiable(std::move(a), y, true);
}

}  // namespace triptych
