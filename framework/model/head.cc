// SPDX-License-Identifier: Apache-2.0
#include "framework/model/head.h"

#include <algorithm>

#include <ATen/ATen.h>

namespace triptych {

Prediction Prediction::rows(const std::vector<std::int64_t>& chosen) const {
  const bool everything = static_cast<std::int64_t>(chosen.size()) == value.size(0) &&
                          std::is_sorted(chosen.begin(), chosen.end());
  if (everything) return *this;
  const at::Tensor index = at::tensor(chosen, at::kLong).to(value.device());
  Prediction result = *this;
  result.value = value.index_select(0, index);
  for (auto& [name, tensor] : result.extra) {
    if (tensor.defined()) tensor = tensor.index_select(0, index);
  }
  return result;
}

Prediction concatenated(const std::vector<Prediction>& parts) {
  if (parts.size() == 1) return parts.front();
  const auto joined = [&](auto tensor_of) {
    std::vector<at::Tensor> tensors;
    for (const Prediction& part : parts) tensors.push_back(tensor_of(part));
    return at::cat(tensors);
  };
  Prediction result = parts.front();
  result.value = joined([](const Prediction& part) { return part.value; });
  for (auto& [name, tensor] : result.extra)
    tensor = joined([&](const Prediction& part) { return part.extra.at(name); });
  return result;
}

}  // namespace triptych
