// SPDX-License-Identifier: Apache-2.0
#include "framework/data/move_entries.h"
#include "framework/data/transform.h"

namespace triptych {
namespace {

/// Mirrors the content along axes, each with its own probability draw. Exact: no interpolation.
class RandomFlip final : public Transform {
 public:
  struct Config {
    std::vector<std::int64_t> axes = {2};
    double probability = 0.5;
    std::vector<std::string> frames;

    void visit(auto& field) {
      field("axes",
            axes,
            "axes of the item that may be mirrored (0 = D, 1 = H, 2 = W)",
            config::Between{0, 2});
      field("probability", probability, "of mirroring, for each axis", config::Between{0.0, 1.0});
      field("frames", frames, "frames to move; [] = all");
    }
  };

  explicit RandomFlip(const Config& config) : config_(config) {}

  TransformParameters draw(const Sample&, RandomStream& random) const override {
    std::vector<double> flip(3, 0.0);
    for (const std::int64_t axis : config_.axes) {
      if (random.bernoulli(config_.probability)) flip[static_cast<std::size_t>(axis)] = 1.0;
    }
    return {{"flip", flip}};
  }

  void apply(Sample& sample, const TransformParameters& parameters) const override {
    const std::vector<double>& flip = parameters.at("flip");
    if (flip == std::vector<double>(3, 0.0)) return;
    std::map<std::string, GridMap> maps;
    for (const auto& [frame, grid] : frame_grids(sample, config_.frames, "random_flip")) {
      maps.emplace(frame,
                   permuted_axes(grid, {0, 1, 2}, {flip[0] > 0.5, flip[1] > 0.5, flip[2] > 0.5}));
    }
    move_entries(sample, maps, LabelOutside::kEdge);
  }

 private:
  Config config_;
};

}  // namespace
TRIPTYCH_REGISTER_TRANSFORM("random_flip", RandomFlip)
}  // namespace triptych
