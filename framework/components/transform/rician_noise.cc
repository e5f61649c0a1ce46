// SPDX-License-Identifier: Apache-2.0
#include "framework/data/channel_grids.h"
#include "framework/data/intensity.h"
#include "framework/data/transform.h"
#include "framework/ops/scan_artifacts.h"

namespace triptych {
namespace {

/// Noise of magnitude images: Gaussian in the real and the imaginary part, then the magnitude
/// (Gudbjartsson and Patz, 1995). Its standard deviation is drawn evenly from 0 to `sigma`. Meant
/// for values of no signal at 0; negative ones become positive.
class RicianNoise final : public Transform {
 public:
  struct Config {
    double sigma = 0.05;
    double probability = 1.0;
    std::vector<std::string> entries;

    void visit(auto& field) {
      field("sigma",
            sigma,
            "largest standard deviation in each part; harmonised values span 0..1",
            config::AtLeast{0.0});
      field("probability", probability, "of adding noise", config::Between{0.0, 1.0});
      field("entries", entries, "entries to change; [] = all intensities");
    }
  };

  explicit RicianNoise(const Config& config) : config_(config) {}

  TransformParameters draw(const Sample&, RandomStream& random) const override {
    if (!random.bernoulli(config_.probability)) return {};
    const double sigma = random.uniform(0.0, config_.sigma);
    return {{"sigma", {sigma}}, {"seed", {static_cast<double>(random.bits() >> 12)}}};
  }

  void apply(Sample& sample, const TransformParameters& parameters) const override {
    if (parameters.empty()) return;
    const double sigma = parameters.at("sigma")[0];
    const RandomStream stream(static_cast<std::uint64_t>(parameters.at("seed")[0]));
    for_each_intensity(
        sample, config_.entries, "rician_noise", [&](const std::string& name, Entry& entry) {
          entry.data = mapped_channels(entry, [&](ScalarGrid& grid, std::int64_t channel) {
            make_rician(
                grid, sigma, stream.derive(name).derive(static_cast<std::uint64_t>(channel)));
          });
        });
  }

 private:
  Config config_;
};

}  // namespace
TRIPTYCH_REGISTER_TRANSFORM("rician_noise", RicianNoise)
}  // namespace triptych
