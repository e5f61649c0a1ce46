// SPDX-License-Identifier: Apache-2.0
#include "framework/model/feature_pyramid.h"

#include "framework/core/error.h"

namespace triptych {
namespace {

std::size_t checked(std::int64_t index, std::size_t count) {
  if (index >= 0 && index < static_cast<std::int64_t>(count))
    return static_cast<std::size_t>(index);
  throw model_error(fmt::format("feature pyramid: level {} asked for, there are levels 0 to {}",
                                index,
                                static_cast<std::int64_t>(count) - 1));
}

}  // namespace

const LevelSpec& PyramidSpec::level(std::int64_t index) const {
  return levels[checked(index, levels.size())];
}

const at::Tensor& FeaturePyramid::level(std::int64_t index) const {
  return levels[checked(index, levels.size())];
}

}  // namespace triptych
