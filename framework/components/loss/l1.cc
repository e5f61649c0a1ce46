// SPDX-License-Identifier: Apache-2.0
#include "framework/core/nn.h"
#include "framework/learn/loss.h"

namespace triptych {
namespace {

/// Mean absolute difference of prediction and target, in grey values. [N, C, D, H, W].
class L1Loss final : public Loss {
 public:
  struct Config {
    void visit(auto&) {}
  };
  explicit L1Loss(const Config&) {}

  at::Tensor operator()(const at::Tensor& prediction,
                        const at::Tensor& target,
                        const LossContext& context) const override {
    check_images(prediction, target, "l1");
    return masked_mean((prediction - target).abs(), context.mask);
  }
  bool is_classification() const override { return false; }
};

}  // namespace
TRIPTYCH_REGISTER_LOSS("l1", L1Loss)
}  // namespace triptych
