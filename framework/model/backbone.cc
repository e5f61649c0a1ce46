// SPDX-License-Identifier: Apache-2.0
#include "framework/model/backbone.h"

#include "framework/core/error.h"
#include "framework/core/shape.h"

#include <algorithm>

namespace triptych {

PyramidSpec Backbone::levels() const {
  PyramidSpec spec;
  for (const StageSpec& stage : stages()) {
    if (stage.pyramid_level < 0) continue;
    const auto level = static_cast<std::size_t>(stage.pyramid_level);
    spec.levels.resize(std::max(spec.levels.size(), level + 1));
    spec.levels[level] = {stage.channels, stage.stride};
  }
  return spec;
}

FeaturePyramid Backbone::forward(const at::Tensor& image) {
  check_input(image);
  FeaturePyramid pyramid;
  pyramid.levels.resize(static_cast<std::size_t>(levels().size()));
  Activations activations{image, {}};
  for (std::size_t i = 0; i < stages().size(); ++i) {
    run_stage(i, activations);
    const std::int64_t level = stages()[i].pyramid_level;
    if (level >= 0) pyramid.levels[static_cast<std::size_t>(level)] = activations.current;
  }
  return pyramid;
}

void Backbone::check_input(const at::Tensor& image) const {
  check_shape(image, {kAny, kAny, kAny, kAny, kAny}, "image");
  if (slab() > 0 && image.size(2) != slab()) {
    throw shape_error(
        fmt::format("image: expected {} neighbouring slices (backbone.slab), got D = {}",
                    slab(),
                    image.size(2)));
  }
  const auto multiple = size_multiple();
  for (int axis = 0; axis < 3; ++axis) {
    if (image.size(2 + axis) % multiple[axis] == 0) continue;
    throw shape_error(
        fmt::format("image: size [{}, {}, {}] is no multiple of the network's stride [{}, {}, {}]",
                    image.size(2),
                    image.size(3),
                    image.size(4),
                    multiple[0],
                    multiple[1],
                    multiple[2]),
        "pad the images, or reduce backbone.depth");
  }
}

}  // namespace triptych
