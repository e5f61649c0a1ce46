// SPDX-License-Identifier: Apache-2.0
#include "framework/core/error.h"
#include "framework/core/suggest.h"
#include "framework/learn/weighting.h"

#include <algorithm>

#include <torch/types.h>

namespace triptych {
namespace {

/// Homoscedastic uncertainty (Kendall, Gal and Cipolla, CVPR 2018): L = sum_t k_t exp(-s_t) L_t +
/// s_t / 2 with trainable s_t = log sigma_t^2, clamped to [-bound, bound]; k_t = 1/2 for regression
/// losses, 1 for classification losses.
class UncertaintyWeighting final : public Weighting {
 public:
  struct Config {
    std::vector<std::string> regression;
    double initial = 0.0;
    double bound = 10.0;
    void visit(auto& field) {
      field("regression",
            regression,
            "tasks whose loss is a regression (factor 1/2); the others classify");
      field("initial", initial, "start value of every s = log sigma^2");
      field("bound", bound, "s is kept in [-bound, bound]", config::Above{0.0});
    }
  };

  UncertaintyWeighting(const Config& config, const WeightingTasks& tasks) : config_(config) {
    const auto count = static_cast<std::int64_t>(tasks.keys.size());
    log_variance_ =
        register_parameter("log_variance", torch::full({count}, config.initial, torch::kFloat));
    for (const std::string& name : config.regression) {
      if (std::find(tasks.keys.begin(), tasks.keys.end(), name) != tasks.keys.end()) continue;
      const std::string meant = did_you_mean(name, tasks.keys);
      throw ConfigError("schema",
                        fmt::format("weighting uncertainty: 'regression' names '{}', which is not "
                                    "under 'tasks'{} There: {}",
                                    name,
                                    meant.empty() ? "." : meant,
                                    join(tasks.keys)));
    }
    std::vector<double> factors;
    for (const std::string& key : tasks.keys) {
      const bool regression = std::find(config.regression.begin(), config.regression.end(), key) !=
                              config.regression.end();
      factors.push_back(regression ? 0.5 : 1.0);
    }
    factor_ = register_buffer("factor", torch::tensor(factors, torch::kFloat));
  }

  at::Tensor combine(const at::Tensor& losses, const at::Tensor& present) override {
    const at::Tensor s = log_variance_.clamp(-config_.bound, config_.bound);
    const at::Tensor terms = factor_ * torch::exp(-s) * losses + 0.5 * s;
    return torch::where(present, terms, torch::zeros_like(terms)).sum();
  }

  std::vector<double> current_weights() const override {
    return as_doubles(factor_ * torch::exp(-log_variance_));
  }

 private:
  Config config_;
  at::Tensor log_variance_;
  at::Tensor factor_;
};

}  // namespace
TRIPTYCH_REGISTER_WEIGHTING("uncertainty", UncertaintyWeighting)
}  // namespace triptych
