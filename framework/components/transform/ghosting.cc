// SPDX-License-Identifier: Apache-2.0
#include "framework/core/error.h"
#include "framework/data/dense.h"
#include "framework/data/intensity.h"
#include "framework/data/transform.h"

#include <ATen/ATen.h>

namespace triptych {
namespace {

/// Ghosts of periodic motion: every (N + 1)th line of k-space along the phase-encoding axis is
/// stronger by 1 + N r, the others by 1 - r. So N copies of the image, r as strong, lie at equal
/// distances along the axis, wrapped around; then the magnitude is taken. r is drawn evenly from 0
/// to `intensity`.
class Ghosting final : public Transform {
 public:
  struct Config {
    std::int64_t ghosts = 3;
    double intensity = 0.1;
    std::int64_t axis = 1;
    double probability = 1.0;
    std::vector<std::string> entries;

    void visit(auto& field) {
      field("ghosts", ghosts, "number of copies", config::Between{1, 64});
      field("intensity",
            intensity,
            "largest strength of a copy relative to the image",
            config::Between{0.0, 1.0});
      field("axis",
            axis,
            "phase-encoding axis of the item: 0 = D, 1 = H, 2 = W",
            config::Between{0, 2});
      field("probability", probability, "of ghosts", config::Between{0.0, 1.0});
      field("entries", entries, "entries to change; [] = all intensities");
    }
  };

  explicit Ghosting(const Config& config) : config_(config) {}

  TransformParameters draw(const Sample&, RandomStream& random) const override {
    if (!random.bernoulli(config_.probability)) return {};
    return {{"intensity", {random.uniform(0.0, config_.intensity)}}};
  }

  void apply(Sample& sample, const TransformParameters& parameters) const override {
    if (parameters.empty()) return;
    const double intensity = parameters.at("intensity")[0];
    for_each_intensity(
        sample, config_.entries, "ghosting", [&](const std::string& name, Entry& entry) {
          if (entry.data.size(config_.axis + 1) < 2) {
            throw data_error(
                fmt::format("sample {}: transform 'ghosting': expected more than one "
                            "voxel along axis {} of entry '{}'",
                            sample.id,
                            config_.axis,
                            name));
          }
          entry.data = with_ghosts(dense_float(entry.data), intensity);
        });
  }

 private:
  at::Tensor with_ghosts(const at::Tensor& image, double intensity) const {
    const std::int64_t along = config_.axis + 1;
    const at::Tensor spectrum = at::fft_rfft(image, image.size(along), along);
    const at::Tensor line = at::arange(spectrum.size(along), at::kLong);
    const at::Tensor strong = line.remainder(config_.ghosts + 1).eq(0).to(at::kFloat);
    const double ghosts = static_cast<double>(config_.ghosts);
    std::vector<std::int64_t> shape(4, 1);
    shape[static_cast<std::size_t>(along)] = -1;
    const at::Tensor factor =
        (strong * ((ghosts + 1.0) * intensity) + (1.0 - intensity)).view(shape);
    return at::fft_irfft(spectrum * factor, image.size(along), along).abs().contiguous();
  }

  Config config_;
};

}  // namespace
TRIPTYCH_REGISTER_TRANSFORM("ghosting", Ghosting)
}  // namespace triptych
