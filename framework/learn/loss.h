// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/config/component.h"

#include <cstdint>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

namespace triptych {

/// What a loss may use besides prediction and target.
struct LossContext {
  std::int64_t ignore_label = -1;     ///< voxels of this label take no part
  std::vector<double> class_weights;  ///< empty or one per class
  at::Tensor mask;  ///< undefined, or [N, 1, D, H, W] bool: voxels that count (BatchEntry::mask of
                    ///< the target)
};

/// A differentiable scalar of prediction and target.
///
/// Classification losses take logits [N, K, D, H, W] and labels int64 [N, D, H, W]; others take two
/// tensors of one shape. Contract: finite, at its minimum for a perfect prediction, gradient equal
/// to finite differences.
class Loss {
 public:
  static constexpr const char* kKind = "loss";
  virtual ~Loss() = default;
  virtual at::Tensor operator()(const at::Tensor& prediction,
                                const at::Tensor& target,
                                const LossContext& context) const = 0;
  /// True when it takes logits and labels.
  virtual bool is_classification() const = 0;
};

/// Where `labels` [N, D, H, W] count: bool, true where neither the ignored label stands nor the
/// mask forbids it.
at::Tensor counted_voxels(const at::Tensor& labels, const LossContext& context);

/// Throws shape_error naming `loss` unless both are [N, C, D, H, W] of one shape: what losses of
/// images compare.
void check_images(const at::Tensor& prediction, const at::Tensor& target, const std::string& loss);

/// Mean of `values` [N, C, D, H, W] over the voxels that `mask` (undefined, or [N, 1, D, H, W]
/// bool) counts; zero when there is none.
at::Tensor masked_mean(const at::Tensor& values, const at::Tensor& mask);

using LossRegistry = config::Registry<Loss>;

}  // namespace triptych

#define TRIPTYCH_REGISTER_LOSS(name, type) \
  TRIPTYCH_REGISTER_COMPONENT(::triptych::LossRegistry, name, type)
