// SPDX-License-Identifier: Apache-2.0
#include "framework/learn/weighting.h"

namespace triptych {
namespace {

/// Sum of the losses of the tasks present, whatever their configured weights: the baseline of every
/// comparison.
class EqualWeighting final : public Weighting {
 public:
  struct Config {
    void visit(auto&) {}
  };

  EqualWeighting(const Config&, const WeightingTasks& tasks) : count_(tasks.keys.size()) {}

  std::vector<double> current_weights() const override { return std::vector<double>(count_, 1.0); }

 private:
  std::size_t count_;
};

}  // namespace
TRIPTYCH_REGISTER_WEIGHTING("equal", EqualWeighting)
}  // namespace triptych
