// SPDX-License-Identifier: Apache-2.0
#include "framework/learn/schedule.h"

namespace triptych {
namespace {

/// The base learning rate throughout.
class ConstantSchedule final : public Schedule {
 public:
  struct Config {
    std::int64_t warmup_steps = 0;
    void visit(auto& field) {
      field("warmup_steps", warmup_steps, "steps of linear warm-up", config::AtLeast{0});
    }
  };
  ConstantSchedule(const Config& config, std::int64_t) : config_(config) {}
  double factor(std::int64_t step) const override {
    return warmup_factor(step, config_.warmup_steps);
  }

 private:
  Config config_;
};

}  // namespace
TRIPTYCH_REGISTER_SCHEDULE("constant", ConstantSchedule)
}  // namespace triptych
