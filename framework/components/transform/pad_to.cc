// SPDX-License-Identifier: Apache-2.0
#include "framework/data/move_entries.h"
#include "framework/data/transform.h"

namespace triptych {
namespace {

/// Grows items that are smaller than a size, evenly on both sides. Images and vectors repeat their
/// edge, labels become -1 (ignore); content stays where it is in the world. Axes that are large
/// enough stay as they are.
class PadTo final : public Transform {
 public:
  struct Config {
    std::vector<std::int64_t> size;
    std::int64_t multiple = 1;
    std::string label_outside = "ignore";
    std::vector<std::string> frames;

    void visit(auto& field) {
      field("size",
            size,
            "least voxels [H, W] or [D, H, W]",
            config::Need::kRequired,
            config::AtLeast{1});
      field("multiple",
            multiple,
            "sizes of these axes grow to a multiple of this too",
            config::AtLeast{1});
      field("label_outside",
            label_outside,
            "what labels are in the padding",
            config::OneOf{"ignore", "edge"});
      field("frames", frames, "frames to pad; [] = all");
    }
    void validate(config::Problems& problems) const {
      if (size.size() != 2 && size.size() != 3) problems.add("size", "must be [H, W] or [D, H, W]");
    }
  };

  explicit PadTo(const Config& config) : config_(config) {}

  TransformParameters draw(const Sample&, RandomStream&) const override { return {}; }

  void apply(Sample& sample, const TransformParameters&) const override {
    std::map<std::string, GridMap> maps;
    for (const auto& [frame, grid] : frame_grids(sample, config_.frames, "pad_to")) {
      Region region{{0, 0, 0}, padded_size(grid.shape)};
      for (std::size_t i = 0; i < 3; ++i) region.start[i] = -((region.size[i] - grid.shape[i]) / 2);
      if (region.size != grid.shape) maps.emplace(frame, cut_out(grid, region));
    }
    if (!maps.empty()) move_entries(sample, maps, label_outside_from_text(config_.label_outside));
  }

  Index3 size_after(const Index3& size, const std::string& frame) const override {
    return moves_frame(config_.frames, frame) ? padded_size(size) : size;
  }

 private:
  Index3 padded_size(Index3 size) const {
    for (std::size_t i = 3 - config_.size.size(); i < 3; ++i) {
      const std::int64_t least = std::max(size[i], config_.size[i + config_.size.size() - 3]);
      size[i] = (least + config_.multiple - 1) / config_.multiple * config_.multiple;
    }
    return size;
  }

  Config config_;
};

}  // namespace
TRIPTYCH_REGISTER_TRANSFORM("pad_to", PadTo)
}  // namespace triptych
