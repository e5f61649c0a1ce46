// SPDX-License-Identifier: Apache-2.0
#include "framework/learn/schedule.h"

#include <cmath>

namespace triptych {
namespace {

/// (1 - progress)^power from 1 down to `end_factor` at trainer.max_steps; power 0.9 is the "poly"
/// rule of segmentation networks (Chen et al. 2018, DeepLab).
class PolynomialSchedule final : public Schedule {
 public:
  struct Config {
    double power = 0.9;
    double end_factor = 0.0;
    std::int64_t warmup_steps = 0;
    void visit(auto& field) {
      field("power", power, "exponent; 1 = a straight line", config::Above{0.0});
      field("end_factor", end_factor, "factor at the last step", config::Between{0.0, 1.0});
      field("warmup_steps",
            warmup_steps,
            "steps of linear warm-up before the decay",
            config::AtLeast{0});
    }
  };
  PolynomialSchedule(const Config& config, std::int64_t max_steps)
      : config_(config), max_steps_(max_steps) {}
  double factor(std::int64_t step) const override {
    const double left = 1.0 - schedule_progress(step, config_.warmup_steps, max_steps_);
    const double decay =
        config_.end_factor + (1.0 - config_.end_factor) * std::pow(left, config_.power);
    return warmup_factor(step, config_.warmup_steps) * decay;
  }

 private:
  Config config_;
  std::int64_t max_steps_;
};

}  // namespace
TRIPTYCH_REGISTER_SCHEDULE("polynomial", PolynomialSchedule)
}  // namespace triptych
