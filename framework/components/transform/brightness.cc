// SPDX-License-Identifier: Apache-2.0
#include "framework/data/intensity.h"
#include "framework/data/transform.h"

namespace triptych {
namespace {

/// Adds one random number to all values: v + shift. Meant for harmonised values, where 1 is the
/// whole range.
class Brightness final : public Transform {
 public:
  struct Config {
    double range = 0.1;
    double probability = 1.0;
    std::vector<std::string> entries;

    void visit(auto& field) {
      field("range",
            range,
            "largest shift either way; harmonised values span 0..1",
            config::AtLeast{0.0});
      field("probability", probability, "of shifting", config::Between{0.0, 1.0});
      field("entries", entries, "entries to change; [] = all intensities");
    }
  };

  explicit Brightness(const Config& config) : config_(config) {}

  TransformParameters draw(const Sample&, RandomStream& random) const override {
    if (!random.bernoulli(config_.probability)) return {};
    return {{"shift", {random.uniform(-config_.range, config_.range)}}};
  }

  void apply(Sample& sample, const TransformParameters& parameters) const override {
    if (parameters.empty()) return;
    const auto shift = static_cast<float>(parameters.at("shift")[0]);
    for_each_intensity(
        sample, config_.entries, "brightness", [&](const std::string&, Entry& entry) {
          entry.data = mapped_values(entry.data, [&](float* value, std::int64_t count) {
            for (std::int64_t i = 0; i < count; ++i) value[i] += shift;
          });
        });
  }

 private:
  Config config_;
};

}  // namespace
TRIPTYCH_REGISTER_TRANSFORM("brightness", Brightness)
}  // namespace triptych
