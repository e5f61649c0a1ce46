// SPDX-License-Identifier: Apache-2.0
#include "framework/core/nn.h"
#include "framework/learn/loss.h"

namespace triptych {
namespace {

/// Mean squared difference of prediction and target, in squared grey values. [N, C, D, H, W].
class L2Loss final : public Loss {
 public:
  struct Config {
    void visit(auto&) {}
  };
  explicit L2Loss(const Config&) {}

  at::Tensor operator()(const at::Tensor& prediction,
                        const at::Tensor& target,
                        const LossContext& context) const override {
    check_images(prediction, target, "l2");
    return masked_mean((prediction - target).square(), context.mask);
  }
  bool is_classification() const override { return false; }
};

}  // namespace
TRIPTYCH_REGISTER_LOSS("l2", L2Loss)
}  // namespace triptych
