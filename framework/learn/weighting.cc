// SPDX-License-Identifier: Apache-2.0
#include "framework/learn/weighting.h"

#include <stdexcept>

#include <torch/types.h>

namespace triptych {

at::Tensor Weighting::combine(const at::Tensor& losses, const at::Tensor& present) {
  // where() rather than a product: an absent task's loss may be anything, NaN included.
  return torch::where(present, losses, torch::zeros_like(losses)).sum();
}

at::Tensor Weighting::aggregate(const at::Tensor&, const at::Tensor&, const at::Tensor&) {
  throw std::logic_error("aggregate() called on a weighting that combines losses");
}

void Weighting::look_back(const at::Tensor&, const at::Tensor&) {}

std::vector<double> as_doubles(const at::Tensor& values) {
  const at::Tensor exact = values.detach().to(torch::kCPU, torch::kDouble).contiguous();
  return {exact.data_ptr<double>(), exact.data_ptr<double>() + exact.numel()};
}

}  // namespace triptych
