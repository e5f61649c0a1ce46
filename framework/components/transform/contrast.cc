// SPDX-License-Identifier: Apache-2.0
#include "framework/data/intensity.h"
#include "framework/data/transform.h"

#include <cmath>

namespace triptych {
namespace {

/// Spreads or draws together the values about the mean of the item: (v - mean) * factor + mean. The
/// factor is drawn evenly on a logarithmic scale, so that halving is as likely as doubling.
class Contrast final : public Transform {
 public:
  struct Config {
    double range = 0.2;
    double probability = 1.0;
    std::vector<std::string> entries;

    void visit(auto& field) {
      field("range",
            range,
            "the factor lies between 1 / (1 + range) and 1 + range",
            config::AtLeast{0.0});
      field("probability", probability, "of changing", config::Between{0.0, 1.0});
      field("entries", entries, "entries to change; [] = all intensities");
    }
  };

  explicit Contrast(const Config& config) : config_(config) {}

  TransformParameters draw(const Sample&, RandomStream& random) const override {
    if (!random.bernoulli(config_.probability)) return {};
    const double limit = std::log1p(config_.range);
    return {{"factor", {std::exp(random.uniform(-limit, limit))}}};
  }

  void apply(Sample& sample, const TransformParameters& parameters) const override {
    if (parameters.empty()) return;
    const auto factor = static_cast<float>(parameters.at("factor")[0]);
    for_each_intensity(sample, config_.entries, "contrast", [&](const std::string&, Entry& entry) {
      const auto mean = static_cast<float>(mean_value(entry.data));
      entry.data = mapped_values(entry.data, [&](float* value, std::int64_t count) {
        for (std::int64_t i = 0; i < count; ++i) value[i] = (value[i] - mean) * factor + mean;
      });
    });
  }

 private:
  Config config_;
};

}  // namespace
TRIPTYCH_REGISTER_TRANSFORM("contrast", Contrast)
}  // namespace triptych
