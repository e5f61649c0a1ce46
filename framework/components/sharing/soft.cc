// SPDX-License-Identifier: Apache-2.0
#include "framework/core/nn.h"
#include "framework/model/sharing.h"

#include <algorithm>

namespace triptych {
namespace {

/// Soft sharing: a column per task, and a prior that draws corresponding weights together by how
/// the tasks are related (Zhang and Yeung, A convex formulation for learning task relationships,
/// 2010): strength / 2 * tr(W O^-1 W') with the weights W [P, T] of the columns and the covariance
/// O of the tasks, O = (W'W)^(1/2) / tr((W'W)^(1/2)), made anew every `interval` steps.
///
/// Weights start equal in all columns. Only convolutions' kernels count, not biases and norms.
class SoftSharing final : public Sharing {
 public:
  struct Config {
    double strength = 1e-4;
    std::int64_t interval = 50;
    void visit(auto& field) {
      field("strength", strength, "weight of the prior", config::AtLeast{0.0});
      field("interval",
            interval,
            "steps after which the tasks' covariance is estimated again",
            config::AtLeast{1});
    }
  };

  SoftSharing(const Config& config,
              const std::vector<std::string>& tasks,
              const BackboneFactory& make_backbone)
      : config_(config), tasks_(tasks) {
    for (const std::string& task : tasks)
      columns_.push_back(register_module("column_" + task, make_backbone()));
    const torch::NoGradGuard no_grad;
    for (std::size_t t = 1; t < columns_.size(); ++t) {
      const auto first = columns_[0]->parameters(), own = columns_[t]->parameters();
      for (std::size_t p = 0; p < own.size(); ++p) at::Tensor(own[p]).copy_(first[p]);
    }
    const auto count = static_cast<std::int64_t>(tasks.size());
    covariance_ = register_buffer("covariance",
                                  torch::eye(count, torch::kDouble) / static_cast<double>(count));
    steps_ = register_buffer("steps", torch::zeros({}, torch::kLong));
  }

  std::map<std::string, FeaturePyramid> forward(const at::Tensor& image,
                                                const std::vector<std::string>& tasks) override {
    std::map<std::string, FeaturePyramid> pyramids;
    for (const std::string& task : tasks) {
      const auto index = std::find(tasks_.begin(), tasks_.end(), task) - tasks_.begin();
      pyramids.emplace(task, columns_[static_cast<std::size_t>(index)]->forward(image));
    }
    return pyramids;
  }

  at::Tensor penalty() override {
    if (columns_.size() < 2 || config_.strength == 0.0) return {};
    const auto weights = corresponding_weights();
    if (steps_.item<std::int64_t>() % config_.interval == 0) estimate_covariance(weights);
    steps_ += 1;
    const auto count = static_cast<std::int64_t>(columns_.size());
    const at::Tensor ridge = kRidge * torch::eye(count, covariance_.options());
    const at::Tensor inverse = torch::inverse(covariance_ + ridge).to(torch::kFloat);
    at::Tensor sum;
    for (const at::Tensor& w : weights) {
      const at::Tensor term = (w.matmul(inverse) * w).sum();
      sum = sum.defined() ? sum + term : term;
    }
    return 0.5 * config_.strength * sum;
  }

  const Backbone& column() const override { return *columns_.front(); }
  std::int64_t column_passes(std::int64_t tasks) const override { return tasks; }
  std::vector<std::pair<std::string, at::Tensor>> mixing() const override {
    return {{"covariance", covariance_.cpu()}};
  }
  void fold() override {
    for (std::size_t t = 0; t < columns_.size(); ++t) {
      if (auto folded = columns_[t]->folded())
        columns_[t] = replace_module("column_" + tasks_[t], std::move(folded));
    }
  }

 private:
  /// [P, T] for every kernel.
  std::vector<at::Tensor> corresponding_weights() const {
    std::vector<at::Tensor> weights;
    const std::size_t count = columns_[0]->parameters().size();
    for (std::size_t p = 0; p < count; ++p) {
      std::vector<at::Tensor> by_task;
      for (const auto& column : columns_) by_task.push_back(column->parameters()[p].reshape({-1}));
      if (columns_[0]->parameters()[p].dim() > 1) weights.push_back(torch::stack(by_task, 1));
    }
    return weights;
  }

  void estimate_covariance(const std::vector<at::Tensor>& weights) {
    const torch::NoGradGuard no_grad;
    at::Tensor gram = torch::zeros_like(covariance_);
    for (const at::Tensor& w : weights) {
      const at::Tensor exact = w.to(torch::kDouble);
      gram += exact.t().matmul(exact);
    }
    const auto [values, vectors] = torch::linalg_eigh(gram);
    const at::Tensor root =
        vectors.matmul(torch::diag(values.clamp_min(0.0).sqrt())).matmul(vectors.t());
    covariance_.copy_(root / root.trace());
  }

  static constexpr double kRidge = 1e-2;  ///< keeps the covariance of equal columns invertible
  Config config_;
  std::vector<std::string> tasks_;
  std::vector<std::shared_ptr<Backbone>> columns_;
  at::Tensor covariance_;  ///< [T, T], trace 1
  at::Tensor steps_;
};

}  // namespace
TRIPTYCH_REGISTER_SHARING("soft", SoftSharing)
}  // namespace triptych
