// SPDX-License-Identifier: Apache-2.0
#include "framework/model/image_pair.h"

#include "framework/core/error.h"
#include "framework/ops/convex_search.h"
#include "framework/ops/warp.h"

#include <ATen/ATen.h>

namespace triptych {
namespace {

FeaturePyramid item_of(const FeaturePyramid& pyramid, std::int64_t item) {
  FeaturePyramid result;
  for (const at::Tensor& level : pyramid.levels)
    result.levels.push_back(level.narrow(0, item, 1).to(at::kFloat));
  return result;
}

void check_levels(const FeaturePyramid& pyramid,
                  const PyramidSpec& spec,
                  const Geometry& image,
                  const std::string& role) {
  for (std::int64_t level = 0; level < spec.size(); ++level) {
    const Index3 expected = level_grid(image, spec.level(level)).shape;
    const at::Tensor& features = pyramid.level(level);
    const Index3 size{features.size(2), features.size(3), features.size(4)};
    if (size == expected) continue;
    throw model_error(
        fmt::format("registration: expected features of role '{}' at level {} on {}x{}x{} voxels, "
                    "got {}x{}x{}",
                    role,
                    level,
                    expected[0],
                    expected[1],
                    expected[2],
                    size[0],
                    size[1],
                    size[2]),
        "registration needs a 3D backbone, or a 2D one with slices (slab 1)");
  }
}

}  // namespace

at::Tensor ImagePair::moving_on_fixed(std::int64_t level,
                                      const PyramidSpec& spec,
                                      const at::Tensor& displacement_mm) const {
  const WarpOptions options{WarpInterpolation::kLinear, WarpPadding::kEdge};
  const Geometry grid = level_grid(fixed_grid, spec.level(level));
  const Geometry own = level_grid(moving_grid, spec.level(level));
  if (displacement_mm.defined())
    return warp(moving.level(level), own, displacement_mm, grid, options);
  return same_grid(own, grid) ? moving.level(level)
                              : resample_to_grid(moving.level(level), own, grid, options);
}

std::vector<ImagePair> image_pairs(HeadInputs& inputs,
                                   const PyramidSpec& spec,
                                   const std::string& guide) {
  const BatchEntry& fixed = inputs.batch().at("fixed");
  const BatchEntry& moving = inputs.batch().at("moving");
  const FeaturePyramid& fixed_features = inputs.features("fixed");
  const FeaturePyramid& moving_features = inputs.features("moving");
  at::Tensor probabilities;
  if (!guide.empty()) {
    const Prediction& output = inputs.output_of(guide);
    if (output.kind != Prediction::Kind::kLogits) {
      throw model_error(fmt::format("guided_by: task '{}' predicts no classes", guide),
                        "a registration is guided by a segmentation of its fixed image");
    }
    probabilities = at::softmax(output.value.to(at::kFloat), 1);
  }
  std::vector<ImagePair> pairs;
  for (std::int64_t item = 0; item < inputs.batch().size(); ++item) {
    const auto row = static_cast<std::size_t>(item);
    ImagePair& pair = pairs.emplace_back(ImagePair{item_of(fixed_features, item),
                                                   item_of(moving_features, item),
                                                   fixed.geometry.at(row),
                                                   moving.geometry.at(row),
                                                   {}});
    if (probabilities.defined()) pair.guidance = probabilities.narrow(0, item, 1);
    check_levels(pair.fixed, spec, pair.fixed_grid, "fixed");
    check_levels(pair.moving, spec, pair.moving_grid, "moving");
  }
  return pairs;
}

Geometry level_grid(const Geometry& image, const LevelSpec& level) {
  return pooled_grid(image, level.stride);
}

at::Tensor mm_in_grid(const at::Tensor& displacement_voxel, const Geometry& grid) {
  at::Tensor kept = at::ones({1, 3, 1, 1, 1}, displacement_voxel.options());
  for (std::int64_t axis = 0; axis < 3; ++axis) {
    if (grid.shape[static_cast<std::size_t>(2 - axis)] == 1) kept.select(1, axis).zero_();
  }
  return mm_from_voxels(displacement_voxel * kept, grid);
}

}  // namespace triptych
