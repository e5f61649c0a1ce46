// SPDX-License-Identifier: Apache-2.0
#include "framework/core/nn.h"
#include "framework/learn/overlap.h"

namespace triptych {
namespace {

/// 1 - mean over the foreground classes of 2 I / (sum y + sum p) (Milletari, Navab and Ahmadi,
/// 2016), summed over the batch. A class that neither labels nor prediction hold counts as perfect.
class DiceLoss final : public Loss {
 public:
  struct Config {
    bool include_background = false;
    double smooth = 1.0;
    void visit(auto& field) {
      field("include_background", include_background, "class 0 counts as well");
      field("smooth",
            smooth,
            "voxels added to both sides of the fraction, against division by zero",
            config::Above{0.0});
    }
  };
  explicit DiceLoss(const Config& config) : config_(config) {}

  at::Tensor operator()(const at::Tensor& prediction,
                        const at::Tensor& target,
                        const LossContext& context) const override {
    const SoftOverlap counts = soft_overlap(prediction, target, context);
    const std::int64_t first = config_.include_background ? 0 : 1;
    const at::Tensor dice = (2.0 * counts.intersection + config_.smooth) /
                            (counts.target + counts.probability + config_.smooth);
    return 1.0 - dice.slice(0, first).mean();
  }
  bool is_classification() const override { return true; }

 private:
  Config config_;
};

}  // namespace
TRIPTYCH_REGISTER_LOSS("dice", DiceLoss)
}  // namespace triptych
