// SPDX-License-Identifier: Apache-2.0
#include "framework/registration/pair_registration.h"

#include "framework/core/error.h"
#include "framework/registration/section_search.h"

namespace triptych {

bool is_section_of_volume(const Geometry& fixed, const Geometry& moving) {
  return fixed.is_2d() && !moving.is_2d();
}

AffineMap first_alignment(const RegistrationImage& fixed,
                          const RegistrationImage& moving,
                          const RobustStartOptions& options) {
  if (!is_section_of_volume(fixed.geometry, moving.geometry))
    return robust_start(fixed, moving, options);
  if (options.model == "none") return {};
  if (options.model == "translation") {
    throw usage_error(
        "start.model: a section is placed in a volume by none, rigid or similarity, "
        "got translation");
  }
  const RobustStartOptions defaults;
  if (options.largest_rotation_deg != defaults.largest_rotation_deg) {
    throw usage_error(
        "start.largest_rotation_deg: the place of a section in a volume is looked for in all "
        "directions");
  }
  SectionSearchOptions section;
  if (options.model == "similarity") section.model = options.model;
  return place_section(fixed, moving, section).volume_from_section;
}

PairRegistration register_pair(const RegistrationImage& fixed,
                               const RegistrationImage& moving,
                               const DeformationGuide& guide,
                               const PairRegistrationOptions& options) {
  return register_pair(
      fixed, moving, first_alignment(fixed, moving, options.start), guide, options);
}

PairRegistration register_pair(const RegistrationImage& fixed,
                               const RegistrationImage& moving,
                               const AffineMap& start,
                               const DeformationGuide& guide,
                               const PairRegistrationOptions& options) {
  if (moving.geometry.is_2d() && !fixed.geometry.is_2d()) {
    throw shape_error("expected two 2D images, two volumes, or a 2D image and a volume, got " +
                          fixed.geometry.text() + " and " + moving.geometry.text(),
                      "a section that is looked for in a volume is the fixed image");
  }
  PairRegistration result{start, start};
  if (options.deformation.enabled) {
    const DisplacementField field =
        align_deformable(fixed, moving, start, guide, options.deformation);
    result.moving_from_fixed = SpatialTransform({field, start});
  }
  return result;
}

}  // namespace triptych
