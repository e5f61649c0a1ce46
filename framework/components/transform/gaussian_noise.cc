// SPDX-License-Identifier: Apache-2.0
#include "framework/data/intensity.h"
#include "framework/data/transform.h"

namespace triptych {
namespace {

/// Adds white Gaussian noise, independent in every voxel and entry; its standard deviation is drawn
/// evenly from 0 to `sigma`.
class GaussianNoise final : public Transform {
 public:
  struct Config {
    double sigma = 0.05;
    double probability = 1.0;
    std::vector<std::string> entries;

    void visit(auto& field) {
      field("sigma",
            sigma,
            "largest standard deviation; harmonised values span 0..1",
            config::AtLeast{0.0});
      field("probability", probability, "of adding noise", config::Between{0.0, 1.0});
      field("entries", entries, "entries to change; [] = all intensities");
    }
  };

  explicit GaussianNoise(const Config& config) : config_(config) {}

  TransformParameters draw(const Sample&, RandomStream& random) const override {
    if (!random.bernoulli(config_.probability)) return {};
    const double sigma = random.uniform(0.0, config_.sigma);
    // The seed of the noise itself, short enough to be a double without rounding.
    return {{"sigma", {sigma}}, {"seed", {static_cast<double>(random.bits() >> 12)}}};
  }

  void apply(Sample& sample, const TransformParameters& parameters) const override {
    if (parameters.empty()) return;
    const double sigma = parameters.at("sigma")[0];
    const auto seed = static_cast<std::uint64_t>(parameters.at("seed")[0]);
    for_each_intensity(
        sample, config_.entries, "gaussian_noise", [&](const std::string& name, Entry& entry) {
          RandomStream noise = RandomStream(seed).derive(name);
          entry.data = mapped_values(entry.data, [&](float* value, std::int64_t count) {
            for (std::int64_t i = 0; i < count; ++i)
              value[i] += static_cast<float>(sigma * noise.normal());
          });
        });
  }

 private:
  Config config_;
};

}  // namespace
TRIPTYCH_REGISTER_TRANSFORM("gaussian_noise", GaussianNoise)
}  // namespace triptych
