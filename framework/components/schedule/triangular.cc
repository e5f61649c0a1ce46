// SPDX-License-Identifier: Apache-2.0
#include "framework/learn/schedule.h"

#include <cmath>

namespace triptych {
namespace {

/// Cyclical triangular learning rate (Smith 2017): from `low` up to 1 in half a cycle and back.
/// `decay` scales the height of each cycle by that of the one before (0.5 = Smith's "triangular2").
class TriangularSchedule final : public Schedule {
 public:
  struct Config {
    std::int64_t cycle_steps = 2000;
    double low = 0.1;
    double decay = 1.0;
    std::int64_t warmup_steps = 0;
    void visit(auto& field) {
      field("cycle_steps", cycle_steps, "steps of one rise and fall", config::AtLeast{2});
      field("low", low, "factor at the foot of the triangle", config::Between{0.0, 1.0});
      field("decay",
            decay,
            "height of a cycle relative to the one before",
            config::Above{0.0},
            config::AtMost{1.0});
      field("warmup_steps",
            warmup_steps,
            "steps of linear warm-up before the first cycle",
            config::AtLeast{0});
    }
  };
  TriangularSchedule(const Config& config, std::int64_t) : config_(config) {}
  double factor(std::int64_t step) const override {
    if (step < config_.warmup_steps) return config_.low * warmup_factor(step, config_.warmup_steps);
    const std::int64_t since = step - config_.warmup_steps;
    const double phase =
        static_cast<double>(since % config_.cycle_steps) / static_cast<double>(config_.cycle_steps);
    const double triangle = 1.0 - std::abs(2.0 * phase - 1.0);
    const double height = std::pow(config_.decay, static_cast<double>(since / config_.cycle_steps));
    return config_.low + (1.0 - config_.low) * triangle * height;
  }

 private:
  Config config_;
};

}  // namespace
TRIPTYCH_REGISTER_SCHEDULE("triangular", TriangularSchedule)
}  // namespace triptych
