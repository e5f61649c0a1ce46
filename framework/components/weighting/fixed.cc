// SPDX-License-Identifier: Apache-2.0
#include "framework/learn/weighting.h"

#include <torch/types.h>

namespace triptych {
namespace {

/// Sum of the losses times `tasks.<name>.weight`: L = sum_t w_t L_t over the tasks present.
class FixedWeighting final : public Weighting {
 public:
  struct Config {
    bool normalise = false;
    void visit(auto& field) {
      field("normalise", normalise, "divide by the sum of the weights of the tasks present");
    }
  };

  FixedWeighting(const Config& config, const WeightingTasks& tasks)
      : config_(config), values_(tasks.weights) {
    weights_ = register_buffer("weights", torch::tensor(tasks.weights, torch::kFloat));
  }

  at::Tensor combine(const at::Tensor& losses, const at::Tensor& present) override {
    // where() rather than a product: an absent task's loss may be anything, NaN included.
    const at::Tensor weighted =
        torch::where(present, losses * weights_, torch::zeros_like(losses)).sum();
    if (!config_.normalise) return weighted;
    return weighted / (weights_ * present).sum().clamp_min(1e-12);
  }
  std::vector<double> current_weights() const override { return values_; }

 private:
  Config config_;
  std::vector<double> values_;
  at::Tensor weights_;
};

}  // namespace
TRIPTYCH_REGISTER_WEIGHTING("fixed", FixedWeighting)
}  // namespace triptych
