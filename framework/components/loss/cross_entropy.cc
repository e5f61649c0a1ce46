// SPDX-License-Identifier: Apache-2.0
#include "framework/core/nn.h"
#include "framework/learn/loss.h"

namespace triptych {
namespace {

/// Mean over the labelled voxels of -w_y log softmax(logits)_y; zero when no voxel is labelled.
/// logits [N, K, D, H, W], labels int64 [N, D, H, W].
class CrossEntropyLoss final : public Loss {
 public:
  struct Config {
    double label_smoothing = 0.0;
    void visit(auto& field) {
      field("label_smoothing",
            label_smoothing,
            "part of the target spread evenly over the classes",
            config::Between{0.0, 1.0});
    }
  };
  explicit CrossEntropyLoss(const Config& config) : config_(config) {}

  at::Tensor operator()(const at::Tensor& prediction,
                        const at::Tensor& target,
                        const LossContext& context) const override {
    const at::Tensor log_probability = torch::log_softmax(prediction.to(torch::kFloat), 1);
    const at::Tensor labelled = counted_voxels(target, context);
    const at::Tensor safe_target =
        torch::where(labelled, target, torch::zeros_like(target)).unsqueeze(1);
    at::Tensor loss = -log_probability.gather(1, safe_target).squeeze(1);
    if (config_.label_smoothing > 0.0) {
      loss = (1.0 - config_.label_smoothing) * loss -
             config_.label_smoothing * log_probability.mean(1);
    }
    at::Tensor weight = labelled.to(loss.scalar_type());
    if (!context.class_weights.empty()) {
      const at::Tensor table = torch::tensor(context.class_weights, loss.options());
      weight = weight * table.index_select(0, safe_target.flatten()).view_as(weight);
    }
    return (loss * weight).sum() / weight.sum().clamp_min(1e-12);
  }
  bool is_classification() const override { return true; }

 private:
  Config config_;
};

}  // namespace
TRIPTYCH_REGISTER_LOSS("cross_entropy", CrossEntropyLoss)
}  // namespace triptych
