// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/ops/screw_shape.h"

#include <vector>

namespace triptych {

/// How a metal implant corrodes; lengths in mm at progress 1.
struct DegradationParameters {
  double mean_depth = 0.1;      ///< of the corrosion front below the original surface
  double variation = 0.35;      ///< relative standard deviation of the depth along the surface
  double variation_cell = 0.3;  ///< over which the depth varies
  int pits = 12;                ///< local attacks that reach deeper
  double pit_radius = 0.15;     ///< largest; the smallest is half of it
  double crack_width = 0.012;   ///< opening of the crack sheets in the degradation layer
  double crack_spacing = 0.25;  ///< typical distance of neighbouring sheets
};

/// What a screw consists of at one position.
struct CorrosionState {
  float distance = 0.0F;  ///< to the original surface in mm, negative inside
  float residual =
      0.0F;  ///< > 0 in residual material: about the distance to the corrosion front in mm
  float crack = 0.0F;  ///< > 0 in a crack sheet

  bool is_implant() const { return distance < 0.0F; }
  bool is_residual() const { return distance < 0.0F && residual > 0.0F; }
  /// Depth within the degradation layer: 0 at the original surface, 1 at the front.
  float depth_fraction() const;
};

/// A screw that a corrosion front of smoothly varying depth, with pits, eats from its surface
/// inwards. Between the front and the original surface lies a degradation layer, broken by crack
/// sheets. `progress` scales the depth: 0 = as implanted, 1 = `mean_depth`; residual material only
/// ever shrinks with it.
class CorrodedScrew {
 public:
  CorrodedScrew(const ScrewDimensions& dimensions,
                const DegradationParameters& parameters,
                RandomStream stream);

  const ScrewShape& shape() const { return shape_; }

  /// State at a position in the screw's own frame. Outside the screw only `distance` is meant.
  CorrosionState at(const Point3f& local, float progress) const;

 private:
  struct Pit {
    Point3f centre;
    float radius;
  };
  void place_pits(RandomStream stream);

  ScrewShape shape_;
  DegradationParameters parameters_;
  NoiseField depth_;
  NoiseField crack_sheets_;
  NoiseField crack_gate_;
  std::vector<Pit> pits_;
};

}  // namespace triptych
