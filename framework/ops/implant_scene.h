// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/config/rules.h"
#include "framework/ops/bone_structure.h"
#include "framework/ops/degradation.h"
#include "framework/ops/synthetic_deformation.h"
#include "framework/ops/tissue_scan.h"

#include <array>
#include <cstdint>

namespace triptych {

/// How scenes of a screw in bone are drawn. Lengths are fractions of the field of view (its
/// shortest side), so that one setting serves every grid and voxel size.
struct SceneOptions {
  double screw_diameter = 0.50;
  double screw_length = 0.78;
  double tilt_deg = 15.0;
  double shift = 0.04;
  double degradation = 0.06;
  std::int64_t pits = 14;
  double specimen_diameter = 0.98;

  void visit(auto& field) {
    field("screw_diameter",
          screw_diameter,
          "outer diameter of the thread, relative to the field of view",
          config::Between{0.1, 0.6});
    field("screw_length",
          screw_length,
          "tip to head, relative to the field of view",
          config::Between{0.3, 1.2});
    field("tilt_deg",
          tilt_deg,
          "largest tilt of the screw against the first axis",
          config::Between{0.0, 90.0});
    field("shift",
          shift,
          "largest shift of the screw along each axis, relative to the field of view",
          config::Between{0.0, 0.5});
    field("degradation",
          degradation,
          "mean depth of the degradation layer, relative to the field of view",
          config::Between{0.005, 0.12});
    field("pits", pits, "number of corrosion pits", config::Between{0.0, 200.0});
    field("specimen_diameter",
          specimen_diameter,
          "of the cylinder of tissue in air, relative to the field of view",
          config::Between{0.3, 4.0});
  }
};

/// One random screw in bone: a function of position and time, so that it can be sampled on any
/// grid. World LPS, mm; the field of view is centred on the origin, its axes along x, y, z. The
/// screw stands about along z (tensor axis D), head up.
class ImplantScene {
 public:
  ImplantScene(const SceneOptions& options, double field_of_view_mm, const RandomStream& stream);

  const ScrewShape& screw() const { return screw_.shape(); }

  /// Samples the scene at corrosion progress (1 = the first time point). With a deformation the
  /// grid lies in its moving space and shows the scene displaced.
  TissueGrid sample(const Geometry& grid,
                    double progress,
                    const SmoothRigidDeformation* deformation = nullptr) const;

 private:
  struct Spot {
    Tissue tissue;
    float texture;
    float implant_distance;
  };
  Spot at(const Point3f& world, float progress) const;
  Point3f to_screw(const Point3f& world) const;
  static ScrewDimensions draw_screw(const SceneOptions& options,
                                    double field_of_view_mm,
                                    RandomStream stream);
  static DegradationParameters degradation(const SceneOptions& options, double field_of_view_mm);
  static BoneParameters draw_bone(const SceneOptions& options,
                                  double field_of_view_mm,
                                  RandomStream stream);
  void draw_pose(const SceneOptions& options, double field_of_view_mm, RandomStream stream);

  CorrodedScrew screw_;
  BoneStructure bone_;
  NoiseField mottle_, drift_, mineral_, tissue_;
  std::array<float, 9> screw_from_world_{};  // rotation, row by row
  Point3f screw_centre_;
  float specimen_radius_;
};

}  // namespace triptych
