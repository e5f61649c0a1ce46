// SPDX-License-Identifier: Apache-2.0
#include "framework/learn/overlap.h"

#include <ATen/ATen.h>

namespace triptych {

SoftOverlap soft_overlap(const at::Tensor& logits,
                         const at::Tensor& labels,
                         const LossContext& context) {
  const std::int64_t classes = logits.size(1);
  const at::Tensor labelled = counted_voxels(labels, context).unsqueeze(1);
  const at::Tensor p = at::softmax(logits.to(at::kFloat), 1) * labelled;
  const at::Tensor safe = at::where(labelled.squeeze(1), labels, at::zeros_like(labels));
  at::Tensor y = at::zeros_like(p).scatter_(1, safe.unsqueeze(1), 1.0);
  y = y * labelled;
  const auto sum_per_class = [&](const at::Tensor& t) {
    return t.transpose(0, 1).reshape({classes, -1}).sum(1);
  };
  return {sum_per_class(y * p), sum_per_class(y), sum_per_class(p), sum_per_class(p * p)};
}

}  // namespace triptych
