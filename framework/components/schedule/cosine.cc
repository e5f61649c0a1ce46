// SPDX-License-Identifier: Apache-2.0
#include "framework/learn/schedule.h"

#include <cmath>
#include <numbers>

namespace triptych {
namespace {

/// Half a cosine from 1 down to `end_factor` at trainer.max_steps (Loshchilov and Hutter 2017,
/// SGDR, one cycle).
class CosineSchedule final : public Schedule {
 public:
  struct Config {
    double end_factor = 0.0;
    std::int64_t warmup_steps = 0;
    void visit(auto& field) {
      field("end_factor", end_factor, "factor at the last step", config::Between{0.0, 1.0});
      field("warmup_steps",
            warmup_steps,
            "steps of linear warm-up before the cosine",
            config::AtLeast{0});
    }
  };
  CosineSchedule(const Config& config, std::int64_t max_steps)
      : config_(config), max_steps_(max_steps) {}
  double factor(std::int64_t step) const override {
    const double progress = schedule_progress(step, config_.warmup_steps, max_steps_);
    const double cosine = 0.5 * (1.0 + std::cos(std::numbers::pi * progress));
    return warmup_factor(step, config_.warmup_steps) *
           (config_.end_factor + (1.0 - config_.end_factor) * cosine);
  }

 private:
  Config config_;
  std::int64_t max_steps_;
};

}  // namespace
TRIPTYCH_REGISTER_SCHEDULE("cosine", CosineSchedule)
}  // namespace triptych
