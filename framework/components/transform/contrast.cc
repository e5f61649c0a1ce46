// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include "framework/data/intensity.h"
#include "framework/data/transform.h"

namespace triptych {
namespace {

/// Spreads or draws together the values about the mean of the item: (v - mean) * factor + mean. The factor is drawn evenly
/// on a logarithmic scale, so that halving is as likely as doubling.
class Contrast final : public Transform {
 public:
  struct Config {
    std::vector<double> factor = {0.8, 1.25};
    double probability = 1.0;
    std::vector<std::string> entries;

    void visit(auto& field) {
      field("factor", factor, "[low, high]; 1 = unchanged", config::Above{0.0}, config::Length{2});
      field("probability", probability, "of changing", config::Between{0.0, 1.0});
      field("entries", entries, "entries to change; [] = all intensities");
    }
    void validate(config::Problems& problems) const {
      if (factor.size() == 2 && factor[0] > factor[1]) problems.add("factor", "must be [low, high]");
    }
  };

  explicit Contrast(const Config& config) : config_(config) {}

  TransformParameters draw(const Sample&, RandomStream& random) const override {
    if (!random.bernoulli(config_.probability)) return {};
    return {{"factor", {std::exp(random.uniform(std::log(config_.factor[0]), std::log(config_.factor[1])))}}};
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
