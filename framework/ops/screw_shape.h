// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/ops/noise_field.h"

namespace triptych {

/// Dimensions of a headed bone screw in mm.
struct ScrewDimensions {
  double length = 4.0;        ///< tip to top of the head
  double major_radius = 1.0;  ///< crest of the thread
  double minor_radius = 0.8;  ///< root of the thread
  double pitch = 0.5;         ///< one turn of the helix
  double tip_length = 0.4;    ///< over which the screw widens conically from its blunt tip
  double head_radius = 1.4;
  double head_height = 0.7;
  double socket_radius = 0.6;  ///< inner radius (half across flats) of the hexagonal socket
  double socket_depth = 0.35;
};

/// A screw along the z axis: tip plane at z = 0, top of the head at z = length, right-handed helix.
///
/// At every angle the half plane through the axis cuts the thread in a trapezoidal profile (45 %
/// root, 25 % crest). `distance` is the exact distance to that cut, which differs from the distance
/// in space by the cosine of the thread's lead angle (below 1 % for ordinary pitches).
class ScrewShape {
 public:
  explicit ScrewShape(const ScrewDimensions& dimensions);

  const ScrewDimensions& dimensions() const { return dimensions_; }

  /// Signed distance in mm to the surface, negative inside; far outside a lower bound.
  float distance(const Point3f& local) const;

  /// Volume and surface by quadrature over angle and height of the radius function; relative error
  /// below 1e-3.
  double volume_mm3() const;
  double surface_mm2() const;

 private:
  float thread_radius(float z, float start) const;
  float envelope(float z) const;
  float head_distance(float r, float z) const;
  float socket_distance(const Point3f& local) const;
  float head_radius_at(float z) const;

  ScrewDimensions dimensions_;
};

}  // namespace triptych
