// SPDX-License-Identifier: Apache-2.0
#include "framework/core/nn.h"
#include "framework/learn/loss.h"
#include "framework/ops/similarity.h"

namespace triptych {
namespace {

/// 1 - mean squared correlation of prediction and target within windows, in [0, 1] (Avants et al.,
/// 2008): blind to local affine changes of the grey values. [N, C, D, H, W], each channel by
/// itself.
class LocalNccLoss final : public Loss {
 public:
  struct Config {
    std::int64_t radius = 4;
    void visit(auto& field) {
      field("radius",
            radius,
            "of the window; 4 = 9 voxels along every axis",
            config::AtLeast{1},
            config::Unit{"voxels"});
    }
  };
  explicit LocalNccLoss(const Config& config) : config_(config) {}

  at::Tensor operator()(const at::Tensor& prediction,
                        const at::Tensor& target,
                        const LossContext& context) const override {
    check_images(prediction, target, "local_ncc");
    const auto by_channel = [](const at::Tensor& x) { return x.flatten(0, 1).unsqueeze(1); };
    std::optional<at::Tensor> mask;
    if (context.mask.defined())
      mask = by_channel(context.mask.expand_as(target)).to(target.scalar_type());
    return 1.0 -
           local_ncc(by_channel(target), by_channel(prediction), {.radius = config_.radius}, mask);
  }
  bool is_classification() const override { return false; }

 private:
  Config config_;
};

}  // namespace
TRIPTYCH_REGISTER_LOSS("local_ncc", LocalNccLoss)
}  // namespace triptych
