// SPDX-License-Identifier: Apache-2.0
#include "framework/learn/weighting.h"

#include <torch/types.h>

namespace triptych {
namespace {

/// Fast adaptive multitask optimisation, FAMO (Liu et al., 2023, algorithm 1): all tasks are to
/// fall at the same relative rate. With z = softmax(xi) the loss is c sum_t z_t log L_t, c such
/// that the weights z_t c / L_t of the losses sum to 1; xi follows the fall of log L in a step by
/// plain gradient descent. (The authors' program takes Adam for xi.)
///
/// Losses are taken as at least 0; the paper's lower bounds of the losses are 0.
class FamoWeighting final : public Weighting {
 public:
  struct Config {
    double learning_rate = 0.025;
    double decay = 0.01;
    bool same_batch = true;
    void visit(auto& field) {
      field("learning_rate", learning_rate, "of the task logits xi", config::Above{0.0});
      field("decay", decay, "pulls the logits back to 0", config::AtLeast{0.0});
      field("same_batch",
            same_batch,
            "take the fall on the batch just learned from, by a second forward pass, as the paper "
            "does; false: from this batch to the next, which costs nothing and is noisier");
    }
  };

  FamoWeighting(const Config& config, const WeightingTasks& tasks) : config_(config) {
    const auto count = static_cast<std::int64_t>(tasks.keys.size());
    logits_ = register_buffer("logits", torch::zeros({count}, torch::kDouble));
    last_ = register_buffer("last", torch::zeros({count}, torch::kDouble));
    weights_ = register_buffer("weights", torch::ones({count}, torch::kDouble));
  }

  bool reads_loss_values() const override { return true; }
  bool looks_back() const override { return config_.same_batch; }

  at::Tensor combine(const at::Tensor& losses, const at::Tensor& present) override {
    const at::Tensor values = as_values(losses);
    if (!config_.same_batch) follow(values, present);
    remember(values, present);
    const at::Tensor z = torch::softmax(logits_.masked_fill(present.logical_not(), -INFINITY), 0);
    const at::Tensor inverse = torch::where(present, z / values, torch::zeros_like(values));
    const at::Tensor weights = inverse / inverse.sum().clamp_min(1e-300);
    weights_.copy_(weights);
    return torch::where(
               present, losses * weights.to(losses.scalar_type()), torch::zeros_like(losses))
        .sum();
  }

  void look_back(const at::Tensor& losses, const at::Tensor& present) override {
    follow(as_values(losses), present);
  }

  std::vector<double> current_weights() const override { return as_doubles(weights_); }

 private:
  static at::Tensor as_values(const at::Tensor& losses) {
    return losses.detach().to(torch::kDouble).clamp_min(kLeastLoss);
  }

  void remember(const at::Tensor& values, const at::Tensor& present) {
    const torch::NoGradGuard no_grad;
    last_.copy_(torch::where(present, values, last_));
  }

  /// xi <- xi - rate * (J^T d + decay * xi), J the derivative of softmax(xi) and d the fall of log
  /// L since the losses that are remembered.
  void follow(const at::Tensor& values, const at::Tensor& present) {
    const torch::NoGradGuard no_grad;
    const at::Tensor known = present & (last_ > 0);
    const at::Tensor fall =
        torch::where(known,
                     torch::log(last_.clamp_min(kLeastLoss)) - torch::log(values),
                     torch::zeros_like(last_));
    const at::Tensor z = torch::softmax(logits_, 0);
    const at::Tensor gradient = z * (fall - (z * fall).sum());
    logits_ -= config_.learning_rate * (gradient + config_.decay * logits_);
  }

  static constexpr double kLeastLoss = 1e-8;
  Config config_;
  at::Tensor logits_, last_, weights_;
};

}  // namespace
TRIPTYCH_REGISTER_WEIGHTING("famo", FamoWeighting)
}  // namespace triptych
