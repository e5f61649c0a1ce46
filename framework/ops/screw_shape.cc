// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/screw_shape.h"

#include "framework/core/error.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace triptych {
namespace {

constexpr float kPi = std::numbers::pi_v<float>;

// Corners of the thread profile in turns; height 0 = root, 1 = crest.
struct Corner {
  float turn;
  float height;
};
constexpr Corner kProfile[] = {
    {0.0F, 0.0F}, {0.45F, 0.0F}, {0.60F, 1.0F}, {0.85F, 1.0F}, {1.0F, 0.0F}};
constexpr int kCorners = 4;  // of one turn; the fifth is the next turn's first

// Shape of the blunt tip and of the head, relative to the dimensions.
constexpr float kTipRadius = 0.45F;       // of the shaft's radius
constexpr float kHeadConeHeight = 0.35F;  // of the head's height: underside
constexpr float kHeadChamfer = 0.25F;     // of the head's height: upper edge
constexpr float kHeadTopRadius = 0.85F;   // of the head's radius

float segment_distance_squared(float r, float z, float r0, float z0, float r1, float z1) {
  const float dr = r1 - r0;
  const float dz = z1 - z0;
  const float length = dr * dr + dz * dz;
  const float t = std::clamp(((r - r0) * dr + (z - z0) * dz) / length, 0.0F, 1.0F);
  const float er = r - r0 - t * dr;
  const float ez = z - z0 - t * dz;
  return er * er + ez * ez;
}

// Signed distance to the line from a to b, negative on its left.
float line_distance(float r, float z, float r0, float z0, float r1, float z1) {
  const float dr = r1 - r0;
  const float dz = z1 - z0;
  return ((r - r0) * dz - (z - z0) * dr) / std::hypot(dr, dz);
}

float f(double value) { return static_cast<float>(value); }

}  // namespace

ScrewShape::ScrewShape(const ScrewDimensions& dimensions) : dimensions_(dimensions) {
  const ScrewDimensions& d = dimensions_;
  TRIPTYCH_ASSERT(d.pitch > 0 && d.minor_radius > 0 && d.major_radius > d.minor_radius &&
                  d.head_radius > d.major_radius && d.tip_length > 0 &&
                  d.length > d.head_height + d.tip_length && d.socket_depth < d.head_height &&
                  d.socket_radius < d.minor_radius);
}

float ScrewShape::envelope(float z) const {
  return kTipRadius + (1.0F - kTipRadius) * std::clamp(z / f(dimensions_.tip_length), 0.0F, 1.0F);
}

// Radius of the profile's polygon at height z; `start` is a height at which a turn begins.
float ScrewShape::thread_radius(float z, float start) const {
  const float pitch = f(dimensions_.pitch);
  const float root = f(dimensions_.minor_radius);
  const float depth = f(dimensions_.major_radius) - root;
  const float turns = std::floor((z - start) / pitch);
  const float turn = (z - start) / pitch - turns;
  for (int i = 0; i < kCorners; ++i) {
    if (turn > kProfile[i + 1].turn) continue;
    const auto radius = [&](const Corner& corner) {
      return (root + depth * corner.height) * envelope(start + (turns + corner.turn) * pitch);
    };
    const float t = (turn - kProfile[i].turn) / (kProfile[i + 1].turn - kProfile[i].turn);
    return std::lerp(radius(kProfile[i]), radius(kProfile[i + 1]), std::clamp(t, 0.0F, 1.0F));
  }
  return root * envelope(z);
}

float ScrewShape::head_radius_at(float z) const {
  const float top = f(dimensions_.length);
  const float height = f(dimensions_.head_height);
  const float bottom = top - height;
  if (z < bottom) return 0.0F;
  const float radius = f(dimensions_.head_radius);
  const float cone =
      std::lerp(f(dimensions_.major_radius), radius, (z - bottom) / (kHeadConeHeight * height));
  const float chamfer =
      std::lerp(radius * kHeadTopRadius, radius, (top - z) / (kHeadChamfer * height));
  return std::min({radius, cone, chamfer});
}

float ScrewShape::head_distance(float r, float z) const {
  const float top = f(dimensions_.length);
  const float height = f(dimensions_.head_height);
  const float bottom = top - height;
  const float radius = f(dimensions_.head_radius);
  const float cone = line_distance(
      r, z, f(dimensions_.major_radius), bottom, radius, bottom + kHeadConeHeight * height);
  const float chamfer =
      line_distance(r, z, radius, top - kHeadChamfer * height, radius * kHeadTopRadius, top);
  return std::max({r - radius, cone, chamfer, z - top, bottom - z});
}

float ScrewShape::socket_distance(const Point3f& local) const {
  const float half = f(dimensions_.socket_radius);
  const float ax = std::abs(local.x);
  const float ay = std::abs(local.y);
  const float hexagon = std::max(ay, 0.5F * ay + 0.8660254F * ax) - half;
  return std::max(hexagon, f(dimensions_.length - dimensions_.socket_depth) - local.z);
}

float ScrewShape::distance(const Point3f& local) const {
  const float pitch = f(dimensions_.pitch);
  const float root = f(dimensions_.minor_radius);
  const float depth = f(dimensions_.major_radius) - root;
  const float top = f(dimensions_.length);
  const float r = std::hypot(local.x, local.y);
  const float z = local.z;
  const float start = pitch * std::atan2(local.y, local.x) / (2.0F * kPi);

  // Nearest edge of this turn of the thread and of the nearer neighbour.
  const float turns = (z - start) / pitch;
  const float first = start + (std::round(turns) - 1.0F) * pitch;
  float best = 1e30F;
  float r0 = root * envelope(first);
  float z0 = first;
  for (int i = 1; i <= 2 * kCorners; ++i) {
    const Corner& corner = kProfile[(i - 1) % kCorners + 1];
    const float z1 = first + (static_cast<float>((i - 1) / kCorners) + corner.turn) * pitch;
    const float r1 = (root + depth * corner.height) * envelope(z1);
    best = std::min(best, segment_distance_squared(r, z, r0, z0, r1, z1));
    r0 = r1;
    z0 = z1;
  }
  const float thread = std::sqrt(best) * (r < thread_radius(z, start) ? -1.0F : 1.0F);
  // The shaft runs on through the head: a cap at the head's underside would put a surface inside
  // the screw.
  const float shaft = std::max({thread, -z, z - top});
  return std::max(std::min(shaft, head_distance(r, z)), -socket_distance(local));
}

double ScrewShape::volume_mm3() const {
  constexpr int kAngles = 96;
  constexpr int kHeights = 4096;
  const double step = dimensions_.length / kHeights;
  double sum = 0.0;
  for (int a = 0; a < kAngles; ++a) {
    const float start = f(dimensions_.pitch * a / kAngles);
    for (int i = 0; i < kHeights; ++i) {
      const float z = f((i + 0.5) * step);
      const double radius = std::max(thread_radius(z, start), head_radius_at(z));
      sum += 0.5 * radius * radius;
    }
  }
  const double socket_area =
      2.0 * std::sqrt(3.0) * dimensions_.socket_radius * dimensions_.socket_radius;
  return sum * step * 2.0 * std::numbers::pi / kAngles - socket_area * dimensions_.socket_depth;
}

double ScrewShape::surface_mm2() const {
  constexpr int kAngles = 96;
  constexpr int kHeights = 4096;
  const double step = dimensions_.length / kHeights;
  const double lead = dimensions_.pitch / (2.0 * std::numbers::pi);
  const double neck = dimensions_.length - dimensions_.head_height;
  double sum = 0.0;
  for (int a = 0; a < kAngles; ++a) {
    const float start = f(dimensions_.pitch * a / kAngles);
    const auto radius_at = [&](double z) -> double {
      return std::max(thread_radius(f(z), start), head_radius_at(f(z)));
    };
    for (int i = 0; i < kHeights; ++i) {
      const double low = i * step;
      const bool steps_at_neck = low < neck && low + step >= neck;
      const double radius = radius_at(low + 0.5 * step);
      const double slope = steps_at_neck ? 0.0 : (radius_at(low + step) - radius_at(low)) / step;
      // dA = sqrt(R^2 (1 + R_z^2) + R_angle^2); turning a helix by an angle shifts it along z by
      // lead * angle.
      const double turning = low + step < neck ? slope * lead : 0.0;
      sum += std::sqrt(radius * radius * (1.0 + slope * slope) + turning * turning) * step;
    }
    const double tip = thread_radius(0.0F, start);
    const double below = thread_radius(f(neck), start);
    const double under_head = dimensions_.major_radius * dimensions_.major_radius - below * below;
    sum += 0.5 * (tip * tip + under_head);
  }
  const double top_radius = kHeadTopRadius * dimensions_.head_radius;
  const double socket_perimeter = 4.0 * std::sqrt(3.0) * dimensions_.socket_radius;
  return sum * 2.0 * std::numbers::pi / kAngles + std::numbers::pi * top_radius * top_radius +
         socket_perimeter * dimensions_.socket_depth;
}

}  // namespace triptych
