// SPDX-License-Identifier: Apache-2.0
#include "framework/core/error.h"
#include "framework/data/move_entries.h"
#include "framework/data/transform.h"

#include <algorithm>
#include <cmath>

namespace triptych {
namespace {

/// Turns and mirrors the content by one of the symmetries of the voxel grid: 8 of a square in the
/// plane [H, W], or 48 of a cube. Axes of different size or spacing are never exchanged, so every
/// item keeps its shape and its voxel size. Exact: no interpolation.
class CubeSymmetry final : public Transform {
 public:
  struct Config {
    std::int64_t dimensions = 3;
    bool mirror = true;
    double probability = 1.0;
    std::vector<std::string> frames;

    void visit(auto& field) {
      field("dimensions",
            dimensions,
            "3 = symmetries of the cube, 2 = of the square [H, W]",
            config::Between{2, 3});
      field("mirror", mirror, "mirror images too; false = turns only");
      field("probability", probability, "of drawing a symmetry at all", config::Between{0.0, 1.0});
      field("frames", frames, "frames to move; [] = all");
    }
  };

  explicit CubeSymmetry(const Config& config) : config_(config) {}

  TransformParameters draw(const Sample& sample, RandomStream& random) const override {
    std::vector<double> order{0.0, 1.0, 2.0};
    std::vector<double> flip(3, 0.0);
    if (random.bernoulli(config_.probability)) {
      const std::vector<Symmetry> symmetries = allowed(sample);
      const Symmetry& drawn = symmetries[static_cast<std::size_t>(
          random.integer(static_cast<std::int64_t>(symmetries.size())))];
      for (std::size_t i = 0; i < 3; ++i) {
        order[i] = drawn.order[i];
        flip[i] = drawn.flipped[i] ? 1.0 : 0.0;
      }
    }
    return {{"order", order}, {"flip", flip}};
  }

  void apply(Sample& sample, const TransformParameters& parameters) const override {
    Symmetry symmetry;
    for (std::size_t i = 0; i < 3; ++i) {
      symmetry.order[i] = static_cast<int>(parameters.at("order")[i]);
      symmetry.flipped[i] = parameters.at("flip")[i] > 0.5;
    }
    if (symmetry.is_identity()) return;
    std::map<std::string, GridMap> maps;
    for (const auto& [frame, grid] : frame_grids(sample, config_.frames, "cube_symmetry")) {
      maps.emplace(frame, permuted_axes(grid, symmetry.order, symmetry.flipped));
    }
    move_entries(sample, maps, LabelOutside::kEdge);
  }

 private:
  struct Symmetry {
    std::array<int, 3> order{0, 1, 2};
    std::array<bool, 3> flipped{false, false, false};

    bool is_identity() const {
      return order == std::array<int, 3>{0, 1, 2} && flipped == std::array<bool, 3>{};
    }
    /// Whether it is a turn, without mirroring.
    bool is_turn() const {
      const bool even_order = order == std::array<int, 3>{0, 1, 2} ||
                              order == std::array<int, 3>{1, 2, 0} ||
                              order == std::array<int, 3>{2, 0, 1};
      const auto flips = std::count(flipped.begin(), flipped.end(), true);
      return even_order == (flips % 2 == 0);
    }
  };

  std::vector<Symmetry> allowed(const Sample& sample) const {
    const auto grids = frame_grids(sample, config_.frames, "cube_symmetry");
    const bool plane = config_.dimensions == 2;
    std::vector<Symmetry> result;
    std::array<int, 3> order{0, 1, 2};
    do {
      if (plane && order[0] != 0) continue;
      const bool fits = std::all_of(grids.begin(), grids.end(), [&](const auto& grid) {
        return keeps_grid(grid.second, order);
      });
      if (!fits) continue;
      for (int signs = 0; signs < 8; ++signs) {
        const Symmetry symmetry{order, {(signs & 1) != 0, (signs & 2) != 0, (signs & 4) != 0}};
        if (plane && symmetry.flipped[0]) continue;
        if (config_.mirror || symmetry.is_turn()) result.push_back(symmetry);
      }
    } while (std::next_permutation(order.begin(), order.end()));
    return result;
  }

  static bool keeps_grid(const Geometry& grid, const std::array<int, 3>& order) {
    for (int out = 0; out < 3; ++out) {
      const int in = order[static_cast<std::size_t>(out)];
      if (grid.shape[static_cast<std::size_t>(in)] != grid.shape[static_cast<std::size_t>(out)])
        return false;
      if (std::abs(grid.spacing[2 - in] / grid.spacing[2 - out] - 1.0) > 0.01) return false;
    }
    return true;
  }

  Config config_;
};

}  // namespace
TRIPTYCH_REGISTER_TRANSFORM("cube_symmetry", CubeSymmetry)
}  // namespace triptych
