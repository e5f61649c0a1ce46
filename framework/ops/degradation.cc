// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/degradation.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace triptych {
namespace {

// Depth never falls below this part of the mean: every surface in the body corrodes a little.
constexpr float kLeastDepth = 0.4F;
// Gradient of a unit NoiseField is about this over its cell, on average over the zero set.
constexpr float kNoiseSlope = 2.4F;
// Structures of a NoiseField are this many cells apart.
constexpr double kCellsApart = 1.5;

}  // namespace

float CorrosionState::depth_fraction() const {
  const float depth = std::max(0.0F, -distance);
  const float to_front = std::max(0.0F, -residual);
  return depth + to_front > 0.0F ? depth / (depth + to_front) : 0.0F;
}

CorrodedScrew::CorrodedScrew(const ScrewDimensions& dimensions,
                             const DegradationParameters& parameters,
                             RandomStream stream)
    : shape_(dimensions),
      parameters_(parameters),
      depth_(stream.derive("depth"), parameters.variation_cell, 2),
      crack_sheets_(stream.derive("crack sheets"), parameters.crack_spacing / kCellsApart),
      crack_gate_(stream.derive("crack gate"), parameters.crack_spacing) {
  place_pits(stream.derive("pits"));
}

// Pits sit on the shaft's surface: the radius where the distance changes sign along a random ray
// from the axis.
void CorrodedScrew::place_pits(RandomStream stream) {
  const ScrewDimensions& size = shape_.dimensions();
  for (int i = 0; i < parameters_.pits; ++i) {
    const auto angle = static_cast<float>(stream.uniform(0.0, 2.0 * std::numbers::pi));
    const auto z = static_cast<float>(stream.uniform(0.05, 0.95) * size.length);
    float low = 0.0F;
    auto high = static_cast<float>(1.1 * size.head_radius);
    const auto on_ray = [&](float r) {
      return Point3f{r * std::cos(angle), r * std::sin(angle), z};
    };
    for (int halving = 0; halving < 24; ++halving) {
      const float middle = 0.5F * (low + high);
      (shape_.distance(on_ray(middle)) < 0.0F ? low : high) = middle;
    }
    pits_.push_back(
        {on_ray(low), static_cast<float>(parameters_.pit_radius * stream.uniform(0.5, 1.0))});
  }
}

CorrosionState CorrodedScrew::at(const Point3f& local, float progress) const {
  CorrosionState state;
  state.distance = shape_.distance(local);
  if (state.distance >= 0.0F) return state;

  const float relative = 1.0F + static_cast<float>(parameters_.variation) * depth_.at(local);
  const auto mean = static_cast<float>(parameters_.mean_depth);
  state.residual = -state.distance - mean * progress * std::max(kLeastDepth, relative);
  const float growth = std::sqrt(progress);
  for (const Pit& pit : pits_) {
    const float dx = local.x - pit.centre.x;
    const float dy = local.y - pit.centre.y;
    const float dz = local.z - pit.centre.z;
    const float radius = pit.radius * growth;
    const float squared = dx * dx + dy * dy + dz * dz;
    const float reach = state.residual + radius;
    if (reach > 0.0F && squared < reach * reach) state.residual = std::sqrt(squared) - radius;
  }
  if (state.residual > 0.0F) return state;

  // Sheets are the zero set of a field, opened to a width; a second field ends them. They close
  // towards the front.
  const auto cell = static_cast<float>(parameters_.crack_spacing / kCellsApart);
  const float half_width = 0.5F * static_cast<float>(parameters_.crack_width);
  const float from_sheet = std::abs(crack_sheets_.at(local)) * cell / kNoiseSlope;
  const float opening = half_width * std::min(1.0F, 0.25F - state.residual / (0.5F * mean));
  state.crack = crack_gate_.at(local) > -0.2F ? opening - from_sheet : -1.0F;
  return state;
}

}  // namespace triptych
