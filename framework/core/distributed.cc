// SPDX-License-Identifier: Apache-2.0
#include "framework/core/distributed.h"

#include <ATen/ATen.h>

namespace triptych {

void DistributedContext::average(std::vector<at::Tensor>&) {}

DistributedContext& single_process() {
  static DistributedContext context;
  return context;
}

void average_gradients(DistributedContext& context, const NamedTensors& parameters) {
  if (context.ranks() == 1 || parameters.empty()) return;
  const at::NoGradGuard no_grad;
  at::Tensor known = at::zeros({static_cast<std::int64_t>(parameters.size())}, at::kFloat);
  for (std::size_t p = 0; p < parameters.size(); ++p) {
    known.data_ptr<float>()[p] = parameters[p].second.grad().defined() ? 1.0F : 0.0F;
  }
  std::vector<at::Tensor> presence = {known};
  context.average(presence);
  std::vector<at::Tensor> gradients;
  for (std::size_t p = 0; p < parameters.size(); ++p) {
    if (known.data_ptr<float>()[p] == 0.0F) continue;
    const at::Tensor& parameter = parameters[p].second;
    at::Tensor& gradient = parameter.mutable_grad();
    if (!gradient.defined()) gradient = at::zeros_like(parameter);
    gradients.push_back(gradient);
  }
  context.average(gradients);
}

}  // namespace triptych
