// SPDX-License-Identifier: Apache-2.0
#include "framework/core/error.h"
#include "framework/data/move_entries.h"
#include "framework/data/transform.h"

#include <algorithm>

namespace triptych {
namespace {

/// Cuts a box of fixed size out of the item, at a random place. Content stays where it is in the
/// world.
class RandomCrop final : public Transform {
 public:
  struct Config {
    std::vector<std::int64_t> size;
    std::vector<std::string> frames;

    void visit(auto& field) {
      field(
          "size", size, "voxels [H, W] or [D, H, W]", config::Need::kRequired, config::AtLeast{1});
      field("frames", frames, "frames to cut; [] = all");
    }
    void validate(config::Problems& problems) const {
      if (size.size() != 2 && size.size() != 3) problems.add("size", "must be [H, W] or [D, H, W]");
    }
  };

  explicit RandomCrop(const Config& config) : config_(config) {}

  /// Places as fractions of the room that the box has, so that frames with different grids are cut
  /// alike.
  TransformParameters draw(const Sample&, RandomStream& random) const override {
    std::vector<double> place(3);
    for (double& fraction : place) fraction = random.uniform();
    return {{"place", place}};
  }

  void apply(Sample& sample, const TransformParameters& parameters) const override {
    const std::vector<double>& place = parameters.at("place");
    std::map<std::string, GridMap> maps;
    for (const auto& [frame, grid] : frame_grids(sample, config_.frames, "random_crop")) {
      Region region{{0, 0, 0}, grid.shape};
      for (std::size_t i = 3 - config_.size.size(); i < 3; ++i) {
        const std::int64_t size = config_.size[i + config_.size.size() - 3];
        const std::int64_t room = grid.shape[i] - size;
        if (room < 0) {
          throw data_error(fmt::format("sample {}: transform 'random_crop': expected at least {} "
                                       "voxels along axis {}, got {}",
                                       sample.id,
                                       size,
                                       "DHW"[i],
                                       grid.shape[i]),
                           "put pad_to before random_crop");
        }
        region.start[i] =
            std::min(room, static_cast<std::int64_t>(place[i] * static_cast<double>(room + 1)));
        region.size[i] = size;
      }
      maps.emplace(frame, cut_out(grid, region));
    }
    move_entries(sample, maps, LabelOutside::kIgnore);
  }

  Index3 size_after(const Index3& size, const std::string& frame) const override {
    if (!moves_frame(config_.frames, frame)) return size;
    Index3 result = size;
    std::copy(config_.size.begin(),
              config_.size.end(),
              result.end() - static_cast<std::ptrdiff_t>(config_.size.size()));
    return result;
  }

 private:
  Config config_;
};

}  // namespace
TRIPTYCH_REGISTER_TRANSFORM("random_crop", RandomCrop)
}  // namespace triptych
