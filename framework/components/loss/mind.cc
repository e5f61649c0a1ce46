// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/mind.h"

#include "framework/core/nn.h"
#include "framework/learn/loss.h"

namespace triptych {
namespace {

/// Mean squared difference of the MIND-SSC descriptors of prediction and target (Heinrich et al.,
/// MICCAI 2013), in [0, 1]: compares the structure of images of different modalities.
/// [N, C, D, H, W], each channel by itself.
class MindLoss final : public Loss {
 public:
  struct Config {
    std::int64_t radius = 1;
    std::int64_t dilation = 2;
    void visit(auto& field) {
      field("radius", radius, "of the patches", config::AtLeast{1}, config::Unit{"voxels"});
      field("dilation",
            dilation,
            "distance from a voxel to its six neighbours",
            config::AtLeast{1},
            config::Unit{"voxels"});
    }
  };
  explicit MindLoss(const Config& config) : config_(config) {}

  at::Tensor operator()(const at::Tensor& prediction,
                        const at::Tensor& target,
                        const LossContext& context) const override {
    check_images(prediction, target, "mind");
    const at::Tensor error = (descriptors(prediction) - descriptors(target)).square();
    const at::Tensor mask = context.mask.defined()
                                ? context.mask.expand_as(target).flatten(0, 1).unsqueeze(1)
                                : at::Tensor();
    return masked_mean(error, mask);
  }
  bool is_classification() const override { return false; }

 private:
  at::Tensor descriptors(const at::Tensor& image) const {
    return mind_ssc(image.flatten(0, 1).unsqueeze(1),
                    {.radius = config_.radius, .dilation = config_.dilation});
  }

  Config config_;
};

}  // namespace
TRIPTYCH_REGISTER_LOSS("mind", MindLoss)
}  // namespace triptych
