// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/bone_structure.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace triptych {
namespace {

constexpr double kCellsApart = 1.5;    // structures of a NoiseField are this many cells apart
constexpr float kLargestNoise = 3.5F;  // a unit NoiseField hardly ever exceeds it
constexpr float kNoiseSlope = 2.4F;    // mean gradient of a unit NoiseField times its cell

float f(double value) { return static_cast<float>(value); }

}  // namespace

BoneStructure::BoneStructure(const BoneParameters& parameters, RandomStream stream)
    : parameters_(parameters),
      roughness_(stream.derive("roughness"), parameters.trabecula_spacing, 2),
      cortex_depth_(stream.derive("cortex depth"), parameters.trabecula_spacing),
      network_(stream.derive("network"), parameters.trabecula_spacing / kCellsApart),
      fill_(stream.derive("fill"), 1.5 * parameters.trabecula_spacing),
      canal_a_(stream.derive("canal a"), parameters.canal_spacing / kCellsApart),
      canal_b_(stream.derive("canal b"), parameters.canal_spacing / kCellsApart),
      contact_(stream.derive("contact"), parameters.patch / kCellsApart),
      growth_(stream.derive("growth"), parameters.patch / kCellsApart) {
  RandomStream own = stream.derive("axis");
  const double angle = own.uniform(0.0, 2.0 * std::numbers::pi);
  cos_axis_ = f(std::cos(angle));
  sin_axis_ = f(std::sin(angle));
  const std::array<double, 9> turn = random_rotation(own);
  std::transform(turn.begin(), turn.end(), lacuna_turn_.begin(), f);
  lacuna_key_ = static_cast<std::uint32_t>(own.bits() >> 32);
}

// Fields are only asked where they can decide: sampling them is what a scene costs.

float BoneStructure::depth(const Point3f& p) const {
  const float across = cos_axis_ * p.x + sin_axis_ * p.y;
  const float up = p.z - f(parameters_.top - parameters_.outer_radius);
  const float smooth = f(parameters_.outer_radius) - std::hypot(across, up);
  const float roughness = 0.08F * f(parameters_.cortex_thickness);
  if (std::abs(smooth) > kLargestNoise * roughness) return smooth;
  return smooth + roughness * roughness_.at(p);
}

// Compact bone; canals are tubes around the common zero lines of two fields.
bool BoneStructure::is_cortex(const Point3f& p, float below) const {
  const float thickness = f(parameters_.cortex_thickness);
  const float variation = 0.2F * thickness;
  if (below > thickness + kLargestNoise * variation) return false;
  if (below > thickness - kLargestNoise * variation &&
      below > thickness + variation * cortex_depth_.at(p)) {
    return false;
  }
  const float scale = f(parameters_.canal_spacing / kCellsApart) / kNoiseSlope;
  const float radius = f(parameters_.canal_radius) / scale;
  const float a = canal_a_.at(p);
  if (std::abs(a) > radius) return true;
  return std::hypot(a, canal_b_.at(p)) > radius;
}

// A sheet around the zero set of a field, thinner and broken where `fill` is low.
bool BoneStructure::is_trabecula(const Point3f& p) const {
  const float scale = f(parameters_.trabecula_spacing / kCellsApart) / kNoiseSlope;
  const float half = 0.5F * f(parameters_.trabecula_thickness);
  const float away = std::abs(network_.at(p)) * scale;
  if (away > half * (1.0F + 0.6F * kLargestNoise)) return false;
  return away < half * (1.0F + 0.6F * fill_.at(p));
}

bool BoneStructure::is_lacuna(const Point3f& p) const {
  const float edge = f(parameters_.lacuna_spacing);
  const std::array<float, 9>& m = lacuna_turn_;
  const float x = (m[0] * p.x + m[1] * p.y + m[2] * p.z) / edge;
  const float y = (m[3] * p.x + m[4] * p.y + m[5] * p.z) / edge;
  const float z = (m[6] * p.x + m[7] * p.y + m[8] * p.z) / edge;
  const int ix = static_cast<int>(std::floor(x));
  const int iy = static_cast<int>(std::floor(y));
  const int iz = static_cast<int>(std::floor(z));
  const auto draw = [&](std::uint32_t salt) {
    return hashed_uniform(lacuna_key_ + salt, ix, iy, iz);
  };
  if (draw(0) > 0.6F) return false;
  // One lacuna a cell, kept off the cell's faces so that one cell needs looking at; oblong along
  // one random axis.
  const float dx = x - std::floor(x) - std::lerp(0.3F, 0.7F, draw(1));
  const float dy = y - std::floor(y) - std::lerp(0.3F, 0.7F, draw(2));
  const float dz = z - std::floor(z) - std::lerp(0.3F, 0.7F, draw(3));
  const float axis = draw(4);
  const float sx = axis < 0.33F ? 0.55F : 1.0F;
  const float sy = axis >= 0.33F && axis < 0.67F ? 0.55F : 1.0F;
  const float sz = axis >= 0.67F ? 0.55F : 1.0F;
  const float radius = f(parameters_.lacuna_radius) / edge * std::lerp(0.7F, 1.2F, draw(5));
  const float rx = dx * sx;
  const float ry = dy * sy;
  const float rz = dz * sz;
  return rx * rx + ry * ry + rz * rz < radius * radius;
}

BoneMaterial BoneStructure::at(const Point3f& p, float implant_distance) const {
  const float below = depth(p);
  if (below <= 0.0F) return BoneMaterial::kSoftTissue;

  // No contact where `contact_` is high; elsewhere new bone may cover the implant.
  const float widest_gap = f(parameters_.gap);
  if (implant_distance < widest_gap &&
      implant_distance < widest_gap * (0.1F + 0.7F * contact_.at(p))) {
    return BoneMaterial::kMarrow;
  }
  const float growth = f(parameters_.new_bone_thickness);
  const bool is_new = implant_distance < growth * (0.15F + 0.8F * kLargestNoise) &&
                      implant_distance < growth * (0.15F + 0.8F * growth_.at(p));
  const bool is_bone = is_new || is_cortex(p, below) ||
                       (below > f(0.5 * parameters_.cortex_thickness) && is_trabecula(p));
  if (!is_bone) return BoneMaterial::kMarrow;
  return is_lacuna(p) ? BoneMaterial::kLacuna : BoneMaterial::kBone;
}

}  // namespace triptych
