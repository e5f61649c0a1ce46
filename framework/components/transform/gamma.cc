// SPDX-License-Identifier: Apache-2.0
#include "framework/data/intensity.h"
#include "framework/data/transform.h"

#include <algorithm>
#include <cmath>

namespace triptych {
namespace {

/// Bends the grey scale and keeps its ends: with t = (v - min) / (max - min) of the item, v becomes
/// min + (max - min) * t^gamma. The exponent is drawn evenly on a logarithmic scale.
class Gamma final : public Transform {
 public:
  struct Config {
    double range = 0.3;
    double probability = 1.0;
    std::vector<std::string> entries;

    void visit(auto& field) {
      field("range",
            range,
            "the exponent lies between 1 / (1 + range) and 1 + range",
            config::AtLeast{0.0});
      field("probability", probability, "of changing", config::Between{0.0, 1.0});
      field("entries", entries, "entries to change; [] = all intensities");
    }
  };

  explicit Gamma(const Config& config) : config_(config) {}

  TransformParameters draw(const Sample&, RandomStream& random) const override {
    if (!random.bernoulli(config_.probability)) return {};
    const double limit = std::log1p(config_.range);
    return {{"gamma", {std::exp(random.uniform(-limit, limit))}}};
  }

  void apply(Sample& sample, const TransformParameters& parameters) const override {
    if (parameters.empty()) return;
    const auto exponent = static_cast<float>(parameters.at("gamma")[0]);
    for_each_intensity(sample, config_.entries, "gamma", [&](const std::string&, Entry& entry) {
      entry.data = mapped_values(entry.data, [&](float* value, std::int64_t count) {
        const auto [low, high] = std::minmax_element(value, value + count);
        const float minimum = *low;
        const float range = *high - *low;
        if (!(range > 0.0F)) return;
        for (std::int64_t i = 0; i < count; ++i) {
          value[i] =
              minimum + range * std::pow(std::max(0.0F, (value[i] - minimum) / range), exponent);
        }
      });
    });
  }

 private:
  Config config_;
};

}  // namespace
TRIPTYCH_REGISTER_TRANSFORM("gamma", Gamma)
}  // namespace triptych
