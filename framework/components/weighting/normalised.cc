// SPDX-License-Identifier: Apache-2.0
#include "framework/learn/weighting.h"

#include <torch/types.h>

namespace triptych {
namespace {

/// Another weighting that sees losses of comparable size: every loss, and its gradient, is divided
/// by a running mean of its own values, taken as constant.
class NormalisedWeighting final : public Weighting {
 public:
  struct Config {
    config::Node inner = uncertainty();
    double momentum = 0.99;
    static config::Node uncertainty() {
      config::Node node = config::Node::map();
      node.set("name", config::Node("uncertainty"));
      return node;
    }
    void visit(auto& field) {
      field("inner", inner, "the weighting that sees the scaled losses");
      field("momentum",
            momentum,
            "of the running mean; 1 keeps the first value",
            config::Between{0.0, 1.0});
    }
  };

  NormalisedWeighting(const Config& config, const WeightingTasks& tasks) : config_(config) {
    inner_ = register_module("inner", WeightingRegistry::instance().create(config.inner, tasks));
    const auto count = static_cast<std::int64_t>(tasks.keys.size());
    scale_ = register_buffer("scale", torch::zeros({count}, torch::kFloat));
  }

  bool reads_loss_values() const override { return true; }
  bool needs_jacobian() const override { return inner_->needs_jacobian(); }

  at::Tensor combine(const at::Tensor& losses, const at::Tensor& present) override {
    return inner_->combine(losses / divisor(losses, present), present);
  }

  at::Tensor aggregate(const at::Tensor& jacobian,
                       const at::Tensor& losses,
                       const at::Tensor& present) override {
    const at::Tensor divisor = this->divisor(losses, present);
    return inner_->aggregate(jacobian / divisor.unsqueeze(1), losses / divisor, present);
  }

  bool looks_back() const override { return inner_->looks_back(); }
  void look_back(const at::Tensor& losses, const at::Tensor& present) override {
    inner_->look_back(losses / known_scale(), present);
  }

  std::vector<double> current_weights() const override {
    std::vector<double> weights = inner_->current_weights();
    const std::vector<double> scale = as_doubles(scale_);
    for (std::size_t t = 0; t < weights.size(); ++t) {
      if (scale[t] > 0.0) weights[t] /= scale[t];
    }
    return weights;
  }

 private:
  /// The running means with this step's losses in them; 1 for tasks never seen.
  at::Tensor divisor(const at::Tensor& losses, const at::Tensor& present) {
    const torch::NoGradGuard no_grad;
    const at::Tensor size = losses.detach().abs().clamp_min(1e-12);
    const at::Tensor mean =
        torch::where(scale_ > 0, config_.momentum * scale_ + (1.0 - config_.momentum) * size, size);
    scale_.copy_(torch::where(present, mean, scale_));
    return known_scale();
  }
  at::Tensor known_scale() const {
    return torch::where(scale_ > 0, scale_, torch::ones_like(scale_));
  }

  Config config_;
  std::shared_ptr<Weighting> inner_;
  at::Tensor scale_;
};

}  // namespace
TRIPTYCH_REGISTER_WEIGHTING("normalised", NormalisedWeighting)
}  // namespace triptych
