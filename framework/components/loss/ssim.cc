// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/ssim.h"

#include "framework/core/nn.h"
#include "framework/learn/loss.h"

namespace triptych {
namespace {

/// 1 - mean structural similarity (Wang et al., IEEE TIP 13(4), 2004) of prediction and target [N,
/// C, D, H, W], over the voxels whose window lies within the image.
class SsimLoss final : public Loss {
 public:
  struct Config {
    double data_range = 1.0;
    std::int64_t dimensions = 2;
    void visit(auto& field) {
      field("data_range",
            data_range,
            "largest minus smallest possible grey value of the target",
            config::Above{0.0});
      field("dimensions",
            dimensions,
            "2 = windows in the slice [H, W], 3 = in the volume",
            config::Between{2, 3});
    }
  };
  explicit SsimLoss(const Config& config)
      : options_{.data_range = config.data_range, .dimensions = config.dimensions} {}

  at::Tensor operator()(const at::Tensor& prediction,
                        const at::Tensor& target,
                        const LossContext& context) const override {
    check_images(prediction, target, "ssim");
    at::Tensor mask = context.mask;
    at::Tensor compared = prediction;
    if (mask.defined()) {
      compared = torch::where(mask, prediction, target);  // windows beside them stay clean
      const auto margin = ssim_margin(target, options_);
      for (std::size_t axis = 0; axis < 3; ++axis) {
        const auto dim = static_cast<std::int64_t>(2 + axis);
        mask = mask.narrow(dim, margin[axis], mask.size(dim) - 2 * margin[axis]);
      }
    }
    return 1.0 - masked_mean(ssim_map(compared, target, options_), mask);
  }
  bool is_classification() const override { return false; }

 private:
  SsimOptions options_;
};

}  // namespace
TRIPTYCH_REGISTER_LOSS("ssim", SsimLoss)
}  // namespace triptych
