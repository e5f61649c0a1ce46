// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/implant_scene.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include <Eigen/Geometry>

namespace triptych {
namespace {

float f(double value) { return static_cast<float>(value); }
double radians(double degrees) { return degrees * std::numbers::pi / 180.0; }

// Proportions of the screw to its diameter and length, after common 2 mm bone screws.
constexpr double kCoreToDiameter = 0.80;
constexpr double kPitchToDiameter = 0.22;
constexpr double kHeadToDiameter = 1.35;
constexpr double kHeadToLength = 0.20;

}  // namespace

ScrewDimensions ImplantScene::draw_screw(const SceneOptions& options,
                                         double fov,
                                         RandomStream stream) {
  ScrewDimensions d;
  d.length = options.screw_length * fov * stream.uniform(0.95, 1.05);
  d.major_radius = 0.5 * options.screw_diameter * fov * stream.uniform(0.93, 1.07);
  d.minor_radius = kCoreToDiameter * d.major_radius;
  d.pitch = 2.0 * kPitchToDiameter * d.major_radius * stream.uniform(0.9, 1.1);
  d.tip_length = 0.35 * d.major_radius;
  d.head_radius = kHeadToDiameter * d.major_radius;
  d.head_height = kHeadToLength * d.length;
  d.socket_radius = 0.45 * d.major_radius;
  d.socket_depth = 0.40 * d.head_height;
  return d;
}

DegradationParameters ImplantScene::degradation(const SceneOptions& options, double fov) {
  DegradationParameters p;
  p.mean_depth = options.degradation * fov;
  p.variation = 0.3;
  p.variation_cell = 0.22 * fov;
  p.pits = static_cast<int>(options.pits);
  p.pit_radius = 1.9 * p.mean_depth;
  p.crack_width = 0.016 * fov;
  p.crack_spacing = 0.13 * fov;
  return p;
}

BoneParameters ImplantScene::draw_bone(const SceneOptions& options,
                                       double fov,
                                       RandomStream stream) {
  BoneParameters p;
  p.top = (0.5 * options.screw_length * (1.0 - 2.0 * kHeadToLength) - 0.01) * fov +
          fov * stream.uniform(-0.03, 0.03);
  p.outer_radius = fov * stream.uniform(0.8, 1.3);
  p.cortex_thickness = fov * stream.uniform(0.17, 0.25);
  p.trabecula_thickness = 0.065 * fov;
  p.trabecula_spacing = fov * stream.uniform(0.18, 0.24);
  p.canal_radius = 0.017 * fov;
  p.canal_spacing = 0.20 * fov;
  p.lacuna_radius = 0.009 * fov;
  p.lacuna_spacing = 0.042 * fov;
  p.gap = 0.045 * fov;
  p.new_bone_thickness = 0.055 * fov;
  p.patch = 0.28 * fov;
  return p;
}

ImplantScene::ImplantScene(const SceneOptions& options, double fov, const RandomStream& stream)
    : screw_(draw_screw(options, fov, stream.derive("screw")),
             degradation(options, fov),
             stream.derive("corrosion")),
      bone_(draw_bone(options, fov, stream.derive("bone size")), stream.derive("bone")),
      mottle_(stream.derive("mottle"), 0.035 * fov, 2),
      drift_(stream.derive("drift"), 0.15 * fov),
      mineral_(stream.derive("mineral"), 0.08 * fov, 2),
      tissue_(stream.derive("tissue"), 0.05 * fov, 2),
      specimen_radius_(f(0.5 * options.specimen_diameter * fov)) {
  draw_pose(options, fov, stream.derive("pose"));
}

void ImplantScene::draw_pose(const SceneOptions& options, double fov, RandomStream stream) {
  const double azimuth = stream.uniform(0.0, 2.0 * std::numbers::pi);
  const double tilt = radians(options.tilt_deg) * std::sqrt(stream.uniform());
  const double spin = stream.uniform(0.0, 2.0 * std::numbers::pi);
  const Eigen::Vector3d axis(std::cos(azimuth), std::sin(azimuth), 0.0);
  const Eigen::Matrix3d world_from_screw =
      (Eigen::AngleAxisd(tilt, axis) * Eigen::AngleAxisd(spin, Eigen::Vector3d::UnitZ()))
          .toRotationMatrix();
  for (int row = 0; row < 3; ++row) {
    for (int column = 0; column < 3; ++column) {
      screw_from_world_[static_cast<std::size_t>(3 * row + column)] =
          f(world_from_screw(column, row));
    }
  }
  screw_centre_.x = f(options.shift * fov * stream.uniform(-1.0, 1.0));
  screw_centre_.y = f(options.shift * fov * stream.uniform(-1.0, 1.0));
  screw_centre_.z = f(options.shift * fov * stream.uniform(-1.0, 1.0));
}

Point3f ImplantScene::to_screw(const Point3f& world) const {
  const std::array<float, 9>& m = screw_from_world_;
  const float x = world.x - screw_centre_.x;
  const float y = world.y - screw_centre_.y;
  const float z = world.z - screw_centre_.z;
  return {m[0] * x + m[1] * y + m[2] * z,
          m[3] * x + m[4] * y + m[5] * z,
          m[6] * x + m[7] * y + m[8] * z + f(0.5 * screw().dimensions().length)};
}

ImplantScene::Spot ImplantScene::at(const Point3f& p, float progress) const {
  const CorrosionState state = screw_.at(to_screw(p), progress);
  if (state.is_residual()) return {Tissue::kResidual, 0.0F, state.distance};
  if (state.is_implant()) {
    if (state.crack > 0.0F) return {Tissue::kCrack, 0.0F, state.distance};
    // Mineral content drifts and is mottled far more than it follows the depth: no threshold tells
    // it from metal or bone.
    const float turned = 0.5F + 0.30F * (0.5F - state.depth_fraction()) + 0.22F * drift_.at(p) +
                         0.27F * mottle_.at(p);
    return {Tissue::kDegradation, std::clamp(turned, -0.1F, 1.1F), state.distance};
  }
  if (std::hypot(p.x, p.y) > specimen_radius_) return {Tissue::kAir, 0.0F, state.distance};
  switch (bone_.at(p, state.distance)) {
    case BoneMaterial::kBone:
      return {Tissue::kBone, mineral_.at(p), state.distance};
    case BoneMaterial::kLacuna:
      return {Tissue::kLacuna, 0.0F, state.distance};
    case BoneMaterial::kMarrow:
      return {Tissue::kMarrow, tissue_.at(p), state.distance};
    case BoneMaterial::kSoftTissue:
      break;
  }
  return {Tissue::kSoftTissue, tissue_.at(p), state.distance};
}

TissueGrid ImplantScene::sample(const Geometry& grid,
                                double progress,
                                const SmoothRigidDeformation* deformation) const {
  const auto voxels = static_cast<std::size_t>(grid.voxels());
  TissueGrid result{grid,
                    std::vector<std::uint8_t>(voxels),
                    std::vector<float>(voxels),
                    std::vector<float>(voxels)};
  for_each_row(grid, [&](const GridRow& row) {
    Eigen::Vector3d fixed(row.start.x, row.start.y, row.start.z);
    for (std::int64_t w = 0; w < row.length; ++w) {
      Point3f p = row.at(w);
      if (deformation != nullptr) {
        fixed = deformation->inverse({p.x, p.y, p.z},
                                     fixed);  // from the neighbour's: few steps are left
        p = {f(fixed.x()), f(fixed.y()), f(fixed.z())};
      }
      const Spot spot = at(p, f(progress));
      const auto index = static_cast<std::size_t>(row.offset + w);
      result.tissue[index] = static_cast<std::uint8_t>(spot.tissue);
      result.texture[index] = spot.texture;
      result.implant_distance[index] = spot.implant_distance;
    }
  });
  return result;
}

}  // namespace triptych
