// SPDX-License-Identifier: Apache-2.0
#include "framework/learn/gradient_gram.h"
#include "framework/learn/weighting.h"

#include <algorithm>
#include <cmath>

#include <torch/types.h>

namespace triptych {
namespace {

/// Conflict-averse gradient descent, CAGrad (Liu et al., 2021): within |d - g_0| <= c |g_0| of the
/// mean gradient g_0, the direction d that helps the task worst off most. By duality d = g_0 + c
/// |g_0| g_w / |g_w|, where w on the simplex minimises <g_w, g_0> + c |g_0| |g_w|.
class CagradWeighting final : public Weighting {
 public:
  struct Config {
    double c = 0.4;
    void visit(auto& field) {
      field("c",
            c,
            "radius of the ball around the mean gradient, in its length; 0 = the mean itself",
            config::AtLeast{0.0},
            config::Below{1.0});
    }
  };

  CagradWeighting(const Config& config, const WeightingTasks& tasks)
      : config_(config), scales_(tasks.weights) {}

  bool needs_jacobian() const override { return true; }

  at::Tensor aggregate(const at::Tensor& jacobian,
                       const at::Tensor&,
                       const at::Tensor& present) override {
    const GradientGram gram(jacobian, present, scales_);
    std::vector<double> direction(gram.tasks(), 0.0);
    for (const std::size_t t : gram.present())
      direction[t] = 1.0 / static_cast<double>(gram.present().size());
    const double radius = config_.c * std::sqrt(gram.squared_norm(direction));
    const std::vector<double> worst = worst_mixture(gram, direction, radius);
    const double length = std::sqrt(gram.squared_norm(worst));
    if (length > 0.0) {
      for (const std::size_t t : gram.present()) direction[t] += radius / length * worst[t];
    }
    last_ = direction;
    return gram.combination(direction);
  }

  std::vector<double> current_weights() const override { return last_.empty() ? scales_ : last_; }

 private:
  /// The w of the dual problem, which is convex: mass moves between two tasks at a time, each time
  /// to the minimum along that line, until no move helps.
  static std::vector<double> worst_mixture(const GradientGram& gram,
                                           const std::vector<double>& mean,
                                           double radius) {
    const auto value = [&](const std::vector<double>& w) {
      double product = 0.0;
      for (const std::size_t t : gram.present()) product += w[t] * gram.dot(mean, t);
      return product + radius * std::sqrt(gram.squared_norm(w));
    };
    std::vector<double> w = mean;
    double best = value(w);
    for (int round = 0; round < kRounds; ++round) {
      const double before = best;
      for (const std::size_t a : gram.present()) {
        for (const std::size_t b : gram.present()) {
          if (a < b) best = std::min(best, move_mass(value, w, a, b));
        }
      }
      if (before - best <= 1e-12 * std::abs(before)) break;
    }
    return w;
  }

  /// Golden-section search for the share of w_a + w_b that a gets; returns the value there.
  template <class Value>
  static double move_mass(const Value& value,
                          std::vector<double>& w,
                          std::size_t a,
                          std::size_t b) {
    const double mass = w[a] + w[b];
    const auto at_share = [&](double share) {
      w[a] = share * mass;
      w[b] = mass - w[a];
      return value(w);
    };
    const double golden = (std::sqrt(5.0) - 1.0) / 2.0;
    double low = 0.0, high = 1.0;
    for (int i = 0; i < kSections; ++i) {
      const double left = high - golden * (high - low), right = low + golden * (high - low);
      if (at_share(left) <= at_share(right))
        high = right;
      else
        low = left;
    }
    double share = 0.5 * (low + high);
    for (const double end : {0.0, 1.0}) {
      if (at_share(end) <= at_share(share)) share = end;
    }
    return at_share(share);
  }

  static constexpr int kRounds = 200;
  static constexpr int kSections = 60;
  Config config_;
  std::vector<double> scales_;
  std::vector<double> last_;
};

}  // namespace
TRIPTYCH_REGISTER_WEIGHTING("cagrad", CagradWeighting)
}  // namespace triptych
