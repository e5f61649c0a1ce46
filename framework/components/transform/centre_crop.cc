// SPDX-License-Identifier: Apache-2.0
#include "framework/data/move_entries.h"
#include "framework/data/transform.h"

#include <algorithm>

namespace triptych {
namespace {

/// Cuts the middle out of the item, for validation items of bounded size. Axes that are smaller
/// stay as they are; content stays where it is in the world.
class CentreCrop final : public Transform {
 public:
  struct Config {
    std::vector<std::int64_t> size;
    std::vector<std::string> frames;

    void visit(auto& field) {
      field("size",
            size,
            "largest voxels [H, W] or [D, H, W]",
            config::Need::kRequired,
            config::AtLeast{1});
      field("frames", frames, "frames to cut; [] = all");
    }
    void validate(config::Problems& problems) const {
      if (size.size() != 2 && size.size() != 3) problems.add("size", "must be [H, W] or [D, H, W]");
    }
  };

  explicit CentreCrop(const Config& config) : config_(config) {}

  TransformParameters draw(const Sample&, RandomStream&) const override { return {}; }

  void apply(Sample& sample, const TransformParameters&) const override {
    std::map<std::string, GridMap> maps;
    for (const auto& [frame, grid] : frame_grids(sample, config_.frames, "centre_crop")) {
      Region region{{0, 0, 0}, cut_size(grid.shape)};
      for (std::size_t i = 0; i < 3; ++i) region.start[i] = (grid.shape[i] - region.size[i]) / 2;
      if (region.size != grid.shape) maps.emplace(frame, cut_out(grid, region));
    }
    if (!maps.empty()) move_entries(sample, maps, LabelOutside::kIgnore);
  }

  Index3 size_after(const Index3& size, const std::string& frame) const override {
    return moves_frame(config_.frames, frame) ? cut_size(size) : size;
  }

 private:
  Index3 cut_size(Index3 size) const {
    for (std::size_t i = 3 - config_.size.size(); i < 3; ++i)
      size[i] = std::min(size[i], config_.size[i + config_.size.size() - 3]);
    return size;
  }

  Config config_;
};

}  // namespace
TRIPTYCH_REGISTER_TRANSFORM("centre_crop", CentreCrop)
}  // namespace triptych
