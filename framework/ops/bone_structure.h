// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/ops/noise_field.h"

#include <array>
#include <cstdint>

namespace triptych {

/// A piece of a long bone around an implant; lengths in mm. The bone's outer surface is a cylinder
/// about a horizontal axis below the origin; it bulges up along z to height `top`.
struct BoneParameters {
  double top = 0.5;           ///< height z of the bone's outer surface over the origin
  double outer_radius = 4.0;  ///< of the bone's shaft
  double cortex_thickness = 0.6;
  double trabecula_thickness = 0.12;
  double trabecula_spacing = 0.5;
  double canal_radius = 0.04;  ///< vascular canals of the cortex
  double canal_spacing = 0.4;
  double lacuna_radius = 0.012;  ///< osteocyte lacunae
  double lacuna_spacing = 0.07;
  double gap = 0.08;  ///< widest gap between implant and bone, where there is no contact
  double new_bone_thickness = 0.12;  ///< of bone grown onto the implant
  double patch = 0.5;                ///< size of contact and gap patches on the implant
};

/// What lies at one position outside the implant.
enum class BoneMaterial { kSoftTissue, kMarrow, kBone, kLacuna };

/// Cortical shell with vascular canals, a trabecular network below it, osteocyte lacunae in both,
/// and patches of new bone that touch an implant on part of its surface.
class BoneStructure {
 public:
  BoneStructure(const BoneParameters& parameters, RandomStream stream);

  /// Material at a position (origin = centre of the field of view) at `implant_distance` mm from
  /// the implant's surface.
  BoneMaterial at(const Point3f& position, float implant_distance) const;

 private:
  /// Depth below the outer surface; negative outside the bone.
  float depth(const Point3f& position) const;
  bool is_cortex(const Point3f& position, float depth) const;
  bool is_trabecula(const Point3f& position) const;
  bool is_lacuna(const Point3f& position) const;

  BoneParameters parameters_;
  float cos_axis_ = 1.0F;
  float sin_axis_ = 0.0F;
  std::uint32_t lacuna_key_ = 0;
  std::array<float, 9> lacuna_turn_{};
  NoiseField roughness_, cortex_depth_, network_, fill_, canal_a_, canal_b_, contact_, growth_;
};

}  // namespace triptych
