// SPDX-License-Identifier: Apache-2.0
#include "framework/learn/gradient_gram.h"
#include "framework/learn/weighting.h"

#include <torch/types.h>

namespace triptych {
namespace {

/// Gradient surgery, PCGrad (Yu et al., Gradient surgery for multi-task learning, 2020): every
/// task's gradient loses its part against each other task's gradient that it conflicts with, the
/// others in random order; the sum of what is left.
class PcgradWeighting final : public Weighting {
 public:
  struct Config {
    void visit(auto&) {}
  };

  PcgradWeighting(const Config&, const WeightingTasks& tasks) : scales_(tasks.weights) {}

  bool needs_jacobian() const override { return true; }

  at::Tensor aggregate(const at::Tensor& jacobian,
                       const at::Tensor&,
                       const at::Tensor& present) override {
    const GradientGram gram(jacobian, present, scales_);
    std::vector<double> total(gram.tasks(), 0.0);
    for (const std::size_t task : gram.present()) {
      const std::vector<double> own = without_conflicts(gram, task);
      for (std::size_t t = 0; t < total.size(); ++t) total[t] += own[t];
    }
    last_ = total;
    return gram.combination(total);
  }

  std::vector<double> current_weights() const override { return last_.empty() ? scales_ : last_; }

 private:
  /// The projected gradient of `task` as weights of all gradients.
  static std::vector<double> without_conflicts(const GradientGram& gram, std::size_t task) {
    std::vector<double> weights(gram.tasks(), 0.0);
    weights[task] = 1.0;
    const auto count = static_cast<std::int64_t>(gram.present().size());
    const at::Tensor order = torch::randperm(count, torch::kLong);  // seeded for every step
    for (std::int64_t i = 0; i < count; ++i) {
      const std::size_t other =
          gram.present()[static_cast<std::size_t>(order.data_ptr<std::int64_t>()[i])];
      if (other == task) continue;
      const double product = gram.dot(weights, other);
      if (product < 0.0) weights[other] -= product / gram.dot(other, other);
    }
    return weights;
  }

  std::vector<double> scales_;
  std::vector<double> last_;
};

}  // namespace
TRIPTYCH_REGISTER_WEIGHTING("pcgrad", PcgradWeighting)
}  // namespace triptych
