// SPDX-License-Identifier: Apache-2.0
#include "framework/registration/pair_registration.h"

#include "framework/core/error.h"

namespace triptych {

PairRegistration register_pair(const RegistrationImage& fixed,
                               const RegistrationImage& moving,
                               const FeatureFunction& features,
                               const PairRegistrationOptions& options) {
  return register_pair(
      fixed, moving, robust_start(fixed, moving, options.start), features, options);
}

PairRegistration register_pair(const RegistrationImage& fixed,
                               const RegistrationImage& moving,
                               const AffineMap& start,
                               const FeatureFunction& features,
                               const PairRegistrationOptions& options) {
  if (fixed.geometry.is_2d() != moving.geometry.is_2d()) {
    throw shape_error("expected two 2D images or two volumes, got " + fixed.geometry.text() +
                          " and " + moving.geometry.text(),
                      "a section is placed in a volume by another method");
  }
  PairRegistration result{start, start};
  if (options.deformation.enabled) {
    const DisplacementField field =
        align_deformable(fixed, moving, start, features, options.deformation);
    result.moving_from_fixed = SpatialTransform({field, start});
  }
  return result;
}

}  // namespace triptych
