// SPDX-License-Identifier: Apache-2.0
#include "framework/registration/inverse_map.h"

#include <limits>
#include <ranges>

namespace triptych {

namespace {

Eigen::Vector3d undone(const DisplacementField& field, const Eigen::Vector3d& moving_mm) {
  constexpr int kMostSteps = 100;
  constexpr double kTolerance = 1e-6;
  Eigen::Vector3d position = moving_mm;
  Eigen::Vector3d best = position;
  double smallest = std::numeric_limits<double>::infinity();
  for (int step = 0; step < kMostSteps; ++step) {
    const Eigen::Vector3d missing = moving_mm - field.map(position);
    const double distance = missing.norm();
    if (distance < smallest) {
      smallest = distance;
      best = position;
    }
    if (distance < kTolerance) break;
    position += missing;
  }
  return best;
}

}  // namespace

InverseMap::InverseMap(const SpatialTransform& transform) {
  for (const SpatialTransform::Stage& stage : std::views::reverse(transform.stages())) {
    const auto* affine = std::get_if<AffineMap>(&stage);
    stages_.push_back(affine != nullptr ? SpatialTransform::Stage(affine->inverse()) : stage);
  }
}

Eigen::Vector3d InverseMap::operator()(const Eigen::Vector3d& moving_mm) const {
  Eigen::Vector3d position = moving_mm;
  for (const SpatialTransform::Stage& stage : stages_) {
    const auto* affine = std::get_if<AffineMap>(&stage);
    position = affine != nullptr ? affine->map(position)
                                 : undone(std::get<DisplacementField>(stage), position);
  }
  return position;
}

}  // namespace triptych
