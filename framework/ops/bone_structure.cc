// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/bone_structure.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace triptych {
namespace {

constexpr double kCellsApart = 1.5;  // structures of a NoiseField are this many cells apart
constexpr float kNoiseSlope = 2.4F;  // mean gradient of a unit NoiseField times its cell

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
  lacuna_key_ = static_cast<std::uint32_t>(own.bits() >> 32);
}

float BoneStructure::depth(const Point3f& p) const {
  const float across = cos_axis_ * p.x + sin_axis_ * p.y;
  const float up = p.z - f(parameters_.top - parameters_.outer_radius);
  return f(parameters_.outer_radius) - std::hypot(across, up) +
         0.08F * f(parameters_.cortex_thickness) * roughness_.at(p);
}

// > 0 in compact bone, in mm; canals are tubes around the common zero lines of two fields.
float BoneStructure::cortex(const Point3f& p, float below) const {
  const float thickness = f(parameters_.cortex_thickness) * (1.0F + 0.2F * cortex_depth_.at(p));
  const float shell = std::min(below, thickness - below);
  if (shell <= 0.0F) return shell;
  const float scale = f(parameters_.canal_spacing / kCellsApart) / kNoiseSlope;
  const float from_canal =
      std::hypot(canal_a_.at(p), canal_b_.at(p)) * scale - f(parameters_.canal_radius);
  return std::min(shell, from_canal);
}

// > 0 in trabeculae: a sheet around the zero set of a field, thinner and broken where `fill` is
// low.
float BoneStructure::trabeculae(const Point3f& p) const {
  const float scale = f(parameters_.trabecula_spacing / kCellsApart) / kNoiseSlope;
  const float half = 0.5F * f(parameters_.trabecula_thickness);
  return half * (1.0F + 0.6F * fill_.at(p)) - std::abs(network_.at(p)) * scale;
}

bool BoneStructure::is_lacuna(const Point3f& p) const {
  const float edge = f(parameters_.lacuna_spacing);
  const float x = p.x / edge;
  const float y = p.y / edge;
  const float z = p.z / edge;
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

  float bone = std::max(cortex(p, below),
                        below > f(0.5 * parameters_.cortex_thickness) ? trabeculae(p) : -1.0F);
  // New bone on part of the implant, then a gap where `contact` is low.
  const float near = f(2.0 * parameters_.new_bone_thickness + 2.0 * parameters_.gap);
  if (implant_distance < near) {
    const float growth = f(parameters_.new_bone_thickness) * (0.15F + 0.8F * growth_.at(p));
    bone = std::max(bone, std::min(growth - implant_distance, below));
    const float gap = f(parameters_.gap) * (0.1F + 0.7F * contact_.at(p));
    bone = std::min(bone, implant_distance - std::min(gap, f(parameters_.gap)));
  }
  if (bone <= 0.0F) return BoneMaterial::kMarrow;
  return is_lacuna(p) ? BoneMaterial::kLacuna : BoneMaterial::kBone;
}

}  // namespace triptych
