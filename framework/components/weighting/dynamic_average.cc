// SPDX-License-Identifier: Apache-2.0
#include "framework/learn/weighting.h"

#include <torch/types.h>

namespace triptych {
namespace {

/// Dynamic weight average (Liu, Johns and Davison, End-to-end multi-task learning with attention,
/// 2019): tasks whose loss falls slowly weigh more. w_t = T softmax_t(r_t / temperature), r_t the
/// mean loss of the last interval over that of the one before; 1 each until there are two.
class DynamicAverageWeighting final : public Weighting {
 public:
  struct Config {
    double temperature = 2.0;
    std::int64_t interval = 50;
    void visit(auto& field) {
      field("temperature",
            temperature,
            "large values bring the weights closer together",
            config::Above{0.0});
      field("interval",
            interval,
            "batches over which a loss is averaged; the paper takes an epoch",
            config::AtLeast{1});
    }
  };

  DynamicAverageWeighting(const Config& config, const WeightingTasks& tasks) : config_(config) {
    const auto count = static_cast<std::int64_t>(tasks.keys.size());
    const auto buffer = [&](const char* name) {
      return register_buffer(name, torch::zeros({count}, torch::kDouble));
    };
    sum_ = buffer("sum");
    batches_ = buffer("batches");
    last_ = buffer("last");
    before_last_ = buffer("before_last");
    weights_ = register_buffer("weights", torch::ones({count}, torch::kDouble));
    batch_ = register_buffer("batch", torch::zeros({}, torch::kLong));
  }

  bool reads_loss_values() const override { return true; }

  at::Tensor combine(const at::Tensor& losses, const at::Tensor& present) override {
    const at::Tensor weights = weights_.to(losses.scalar_type());
    const at::Tensor total =
        torch::where(present, losses * weights, torch::zeros_like(losses)).sum();
    note(losses.detach(), present);
    return total;
  }

  std::vector<double> current_weights() const override { return as_doubles(weights_); }

 private:
  void note(const at::Tensor& losses, const at::Tensor& present) {
    const torch::NoGradGuard no_grad;
    sum_ += torch::where(present, losses.to(torch::kDouble), torch::zeros_like(sum_));
    batches_ += present;
    batch_ += 1;
    if (batch_.item<std::int64_t>() % config_.interval != 0) return;
    before_last_.copy_(last_);
    // A task that was absent keeps its last mean.
    last_.copy_(torch::where(batches_ > 0, sum_ / batches_.clamp_min(1), last_));
    sum_.zero_();
    batches_.zero_();
    const at::Tensor known = (before_last_ > 0) & (last_ > 0);
    const at::Tensor rate =
        torch::where(known, last_ / before_last_.clamp_min(1e-30), torch::ones_like(last_));
    weights_.copy_(static_cast<double>(rate.numel()) *
                   torch::softmax(rate / config_.temperature, 0));
  }

  Config config_;
  at::Tensor sum_, batches_, last_, before_last_, weights_, batch_;
};

}  // namespace
TRIPTYCH_REGISTER_WEIGHTING("dynamic_average", DynamicAverageWeighting)
}  // namespace triptych
