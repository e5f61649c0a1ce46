// SPDX-License-Identifier: Apache-2.0
#include "framework/data/channel_grids.h"
#include "framework/data/intensity.h"
#include "framework/data/transform.h"
#include "framework/ops/scan_artifacts.h"

namespace triptych {
namespace {

/// Multiplies by a smooth field, as the coils of magnetic resonance imaging do: exp(b n) with a
/// random field n of about unit variance and structures of about the size of the image; b is drawn
/// evenly from 0 to `deviation`.
class BiasField final : public Transform {
 public:
  struct Config {
    double deviation = 0.25;
    double probability = 1.0;
    std::vector<std::string> entries;

    void visit(auto& field) {
      field("deviation",
            deviation,
            "largest standard deviation of the field's logarithm",
            config::Between{0.0, 2.0});
      field("probability", probability, "of a field", config::Between{0.0, 1.0});
      field("entries", entries, "entries to change; [] = all intensities");
    }
  };

  explicit BiasField(const Config& config) : config_(config) {}

  TransformParameters draw(const Sample&, RandomStream& random) const override {
    if (!random.bernoulli(config_.probability)) return {};
    const double deviation = random.uniform(0.0, config_.deviation);
    return {{"deviation", {deviation}}, {"seed", {static_cast<double>(random.bits() >> 12)}}};
  }

  void apply(Sample& sample, const TransformParameters& parameters) const override {
    if (parameters.empty()) return;
    const double deviation = parameters.at("deviation")[0];
    const RandomStream stream(static_cast<std::uint64_t>(parameters.at("seed")[0]));
    for_each_intensity(
        sample, config_.entries, "bias_field", [&](const std::string& name, Entry& entry) {
          entry.data = mapped_channels(entry, [&](ScalarGrid& grid, std::int64_t) {
            apply_bias_field(grid, deviation, stream.derive(name));
          });
        });
  }

 private:
  Config config_;
};

}  // namespace
TRIPTYCH_REGISTER_TRANSFORM("bias_field", BiasField)
}  // namespace triptych
