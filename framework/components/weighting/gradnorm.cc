// SPDX-License-Identifier: Apache-2.0
#include "framework/learn/gradient_gram.h"
#include "framework/learn/weighting.h"

#include <algorithm>
#include <cmath>

#include <torch/types.h>

namespace triptych {
namespace {

/// GradNorm (Chen et al., Gradient normalization for adaptive loss balancing, 2018): weights w_t
/// learn to bring the gradients' lengths w_t |g_t| to their mean times r_t^alpha, r_t being the
/// task's loss over its first one, relative to the mean of these; they sum to the number of tasks.
///
/// |g_t| is that on all shared parameters (the paper: on the last shared layer). The step of the
/// weights, learning_rate times the gradient of sum_t |w_t |g_t| - target_t|, is divided by the
/// mean of |g_t|, so that the losses' unit does not matter.
class GradnormWeighting final : public Weighting {
 public:
  struct Config {
    double alpha = 1.5;
    double learning_rate = 0.025;
    void visit(auto& field) {
      field("alpha",
            alpha,
            "how strongly tasks that learn slowly are pulled; 0 = equal lengths",
            config::AtLeast{0.0});
      field("learning_rate", learning_rate, "of the weights", config::Above{0.0});
    }
  };

  GradnormWeighting(const Config& config, const WeightingTasks& tasks)
      : config_(config), scales_(tasks.weights) {
    const auto count = static_cast<std::int64_t>(scales_.size());
    weights_ = register_buffer("weights", torch::ones({count}, torch::kDouble));
    first_ = register_buffer("first", torch::zeros({count}, torch::kDouble));
  }

  bool needs_jacobian() const override { return true; }

  at::Tensor aggregate(const at::Tensor& jacobian,
                       const at::Tensor& losses,
                       const at::Tensor& present) override {
    const GradientGram gram(jacobian, present, scales_);
    std::vector<double> weights = current_weights();
    const at::Tensor gradient = gram.combination(weights);
    step(gram, losses.to(torch::kCPU, torch::kDouble).contiguous(), weights);
    weights_.copy_(torch::tensor(weights, torch::kDouble));
    return gradient;
  }

  std::vector<double> current_weights() const override { return as_doubles(weights_); }

 private:
  /// `losses` [T] in double on the CPU.
  void step(const GradientGram& gram, const at::Tensor& losses, std::vector<double>& weights) {
    at::Tensor first = first_.cpu().contiguous();
    double mean_length = 0.0, mean_norm = 0.0, mean_ratio = 0.0;
    std::vector<double> ratio(gram.tasks(), 1.0);
    const auto count = static_cast<double>(gram.present().size());
    for (const std::size_t t : gram.present()) {
      const double loss = losses.data_ptr<double>()[t];
      double& start = first.data_ptr<double>()[t];
      if (start == 0.0) start = loss;
      if (start > 0.0) ratio[t] = std::max(loss, 0.0) / start;
      mean_length += weights[t] * gram.norm(t) / count;
      mean_norm += gram.norm(t) / count;
      mean_ratio += ratio[t] / count;
    }
    first_.copy_(first);
    if (!(mean_norm > 0.0) || !(mean_ratio > 0.0)) return;
    double sum_before = 0.0, sum_after = 0.0;
    for (const std::size_t t : gram.present()) {
      const double target = mean_length * std::pow(ratio[t] / mean_ratio, config_.alpha);
      const double excess = weights[t] * gram.norm(t) - target;
      const double sign = excess > 0.0 ? 1.0 : excess < 0.0 ? -1.0 : 0.0;
      sum_before += weights[t];
      weights[t] = std::max(weights[t] - config_.learning_rate * sign * gram.norm(t) / mean_norm,
                            kLeastWeight);
      sum_after += weights[t];
    }
    for (const std::size_t t : gram.present()) weights[t] *= sum_before / sum_after;
  }

  static constexpr double kLeastWeight = 1e-3;
  Config config_;
  std::vector<double> scales_;
  at::Tensor weights_;
  at::Tensor first_;  ///< losses of the first step with the task; 0 = not seen
};

}  // namespace
TRIPTYCH_REGISTER_WEIGHTING("gradnorm", GradnormWeighting)
}  // namespace triptych
