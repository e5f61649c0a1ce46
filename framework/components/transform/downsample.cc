// SPDX-License-Identifier: Apache-2.0
#include "framework/data/channel_grids.h"
#include "framework/data/intensity.h"
#include "framework/data/transform.h"

#include <algorithm>

namespace triptych {
namespace {

/// Lowers the resolution and keeps the grid: smooths by the slice profile of voxels that are
/// `factor` times as large (as `coarsened` does), samples at their centres and interpolates
/// linearly back. For super-resolution and thick slices: keep the sharp image as an entry that is
/// not in `entries`.
class Downsample final : public Transform {
 public:
  struct Config {
    std::vector<double> factor = {1.0, 2.0, 2.0};
    bool vary = false;
    double probability = 1.0;
    std::vector<std::string> entries;

    void visit(auto& field) {
      field("factor", factor, "voxel size along D, H, W of the item, relative to what it is");
      field("vary", vary, "draw each factor evenly from 1 to this one");
      field("probability", probability, "of lowering the resolution", config::Between{0.0, 1.0});
      field("entries", entries, "entries to change; [] = all intensities");
    }
    void validate(config::Problems& problems) const {
      const auto fits = [](double value) { return value >= 1.0 && value <= 64.0; };
      if (factor.size() != 3 || !std::all_of(factor.begin(), factor.end(), fits))
        problems.add("factor", "expects three numbers from 1 to 64, for D, H and W");
    }
  };

  explicit Downsample(const Config& config) : config_(config) {}

  TransformParameters draw(const Sample&, RandomStream& random) const override {
    if (!random.bernoulli(config_.probability)) return {};
    TransformParameters parameters;
    for (const double largest : config_.factor)
      parameters["factor"].push_back(config_.vary ? random.uniform(1.0, largest) : largest);
    return parameters;
  }

  void apply(Sample& sample, const TransformParameters& parameters) const override {
    if (parameters.empty()) return;
    const std::vector<double>& factor = parameters.at("factor");
    for_each_intensity(
        sample, config_.entries, "downsample", [&](const std::string&, Entry& entry) {
          entry.data = mapped_channels(entry, [&](ScalarGrid& grid, std::int64_t) {
            const Geometry fine = grid.geometry;
            Eigen::Vector3d spacing = fine.spacing;
            for (int axis = 0; axis < 3; ++axis) {
              if (fine.shape[axis] > 1) spacing[2 - axis] *= factor[axis];
            }
            grid = sample_linear(coarsened(std::move(grid), fine.resampled_to(spacing)), fine);
          });
        });
  }

 private:
  Config config_;
};

}  // namespace
TRIPTYCH_REGISTER_TRANSFORM("downsample", Downsample)
}  // namespace triptych
