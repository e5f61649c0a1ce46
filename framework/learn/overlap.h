// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/learn/loss.h"

#include <ATen/core/Tensor.h>

namespace triptych {

/// Soft counts per class, summed over the whole batch: y one-hot labels, p softmax probabilities,
/// labelled voxels only.
struct SoftOverlap {
  at::Tensor intersection;    ///< [K] sum y p
  at::Tensor target;          ///< [K] sum y (= sum y^2)
  at::Tensor probability;     ///< [K] sum p
  at::Tensor probability_sq;  ///< [K] sum p^2
};

/// logits [N, K, D, H, W], labels int64 [N, D, H, W].
SoftOverlap soft_overlap(const at::Tensor& logits,
                         const at::Tensor& labels,
                         const LossContext& context);

}  // namespace triptych
