// SPDX-License-Identifier: Apache-2.0
#include "framework/data/dense.h"
#include "framework/data/intensity.h"
#include "framework/data/transform.h"
#include "framework/image/smooth.h"

namespace triptych {
namespace {

/// Smooths with a Gaussian whose width is drawn evenly from 0 to `sigma`; the edge voxel repeats
/// beyond the border.
class GaussianBlur final : public Transform {
 public:
  struct Config {
    std::int64_t dimensions = 2;
    double sigma = 1.0;
    double probability = 1.0;
    std::vector<std::string> entries;

    void visit(auto& field) {
      field("dimensions",
            dimensions,
            "2 = within slices, 3 = across slices too",
            config::Between{2, 3});
      field("sigma",
            sigma,
            "largest standard deviation of the kernel",
            config::AtLeast{0.0},
            config::Unit{"voxels"});
      field("probability", probability, "of smoothing", config::Between{0.0, 1.0});
      field("entries", entries, "entries to change; [] = all intensities");
    }
  };

  explicit GaussianBlur(const Config& config) : config_(config) {}

  TransformParameters draw(const Sample&, RandomStream& random) const override {
    if (!random.bernoulli(config_.probability)) return {};
    return {{"sigma", {random.uniform(0.0, config_.sigma)}}};
  }

  void apply(Sample& sample, const TransformParameters& parameters) const override {
    if (parameters.empty() || parameters.at("sigma")[0] <= 0.0) return;
    for_each_intensity(
        sample, config_.entries, "gaussian_blur", [&](const std::string&, Entry& entry) {
          at::Tensor data = dense_float(entry.data);
          for (int axis = config_.dimensions == 3 ? 1 : 2; axis <= 3; ++axis) {
            if (data.size(axis) > 1) data = smooth_axis(data, axis, parameters.at("sigma")[0]);
          }
          entry.data = data;
        });
  }

 private:
  Config config_;
};

}  // namespace
TRIPTYCH_REGISTER_TRANSFORM("gaussian_blur", GaussianBlur)
}  // namespace triptych
