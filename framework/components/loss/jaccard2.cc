// SPDX-License-Identifier: Apache-2.0
#include "framework/core/nn.h"
#include "framework/learn/overlap.h"

namespace triptych {
namespace {

/// 1 - J2 with J2 = I / (sum y^2 + sum p^2 - I), I = sum_k y_k p_k, flat over classes and the whole
/// batch (Bertoldo et al., modular U-net for tomography, 2021).
class Jaccard2Loss final : public Loss {
 public:
  struct Config {
    void visit(auto&) {}
  };
  explicit Jaccard2Loss(const Config&) {}

  at::Tensor operator()(const at::Tensor& prediction,
                        const at::Tensor& target,
                        const LossContext& context) const override {
    const SoftOverlap counts = soft_overlap(prediction, target, context);
    const at::Tensor intersection = counts.intersection.sum();
    const at::Tensor both = counts.target.sum() + counts.probability_sq.sum() - intersection;
    return 1.0 - intersection / both.clamp_min(1e-12);
  }
  bool is_classification() const override { return true; }
};

}  // namespace
TRIPTYCH_REGISTER_LOSS("jaccard2", Jaccard2Loss)
}  // namespace triptych
