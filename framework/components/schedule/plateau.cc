// SPDX-License-Identifier: Apache-2.0
#include "framework/learn/schedule.h"

#include <algorithm>
#include <limits>

namespace triptych {
namespace {

/// Multiplies the rate by `factor` when the validation loss has not improved for `patience`
/// optimiser steps; after that it waits as long again. Baltruschat et al. (2021) halve after 1e4
/// iterations. Patience counts steps, not validations, so that it keeps its meaning when
/// trainer.validate_every changes.
class PlateauSchedule final : public Schedule {
 public:
  struct Config {
    double factor = 0.5;
    std::int64_t patience = 10000;
    double min_delta = 0.0;
    double min_factor = 0.0;
    std::int64_t warmup_steps = 0;
    void visit(auto& field) {
      field("factor",
            factor,
            "what the rate is multiplied by on a plateau",
            config::Above{0.0},
            config::Below{1.0});
      field("patience",
            patience,
            "optimiser steps without improvement before that",
            config::AtLeast{1});
      field("min_delta",
            min_delta,
            "smallest fall of the loss that counts as improvement",
            config::AtLeast{0.0});
      field("min_factor",
            min_factor,
            "the rate never falls below this fraction of the base rate",
            config::Between{0.0, 1.0});
      field("warmup_steps", warmup_steps, "steps of linear warm-up", config::AtLeast{0});
    }
  };
  PlateauSchedule(const Config& config, std::int64_t) : config_(config) {}

  double factor(std::int64_t step) const override {
    return warmup_factor(step, config_.warmup_steps) * factor_;
  }

  void observe(std::int64_t step, double validation_loss) override {
    if (validation_loss < best_ - config_.min_delta) {
      best_ = validation_loss;
      since_ = step;
    } else if (step - since_ >= config_.patience) {
      factor_ = std::max(factor_ * config_.factor, config_.min_factor);
      since_ = step;
    }
  }

  std::map<std::string, double> state() const override {
    return {{"factor", factor_}, {"best", best_}, {"since", static_cast<double>(since_)}};
  }
  void load(const std::map<std::string, double>& state) override {
    factor_ = saved_number(state, "factor");
    best_ = saved_number(state, "best");
    since_ = static_cast<std::int64_t>(saved_number(state, "since"));
  }

 private:
  Config config_;
  double factor_ = 1.0;
  double best_ = std::numeric_limits<double>::infinity();
  std::int64_t since_ = 0;  // step of the last improvement or reduction
};

}  // namespace
TRIPTYCH_REGISTER_SCHEDULE("plateau", PlateauSchedule)
}  // namespace triptych
