// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/registration/deformable_alignment.h"
#include "framework/registration/robust_start.h"

namespace triptych {

struct PairRegistrationOptions {
  RobustStartOptions start;
  DeformationOptions deformation;

  void visit(auto& field) {
    field("start", start, "first alignment of the whole images");
    field("deformation", deformation, "the deformation that follows");
  }
};

struct PairRegistration {
  AffineMap start;                     ///< first alignment alone
  SpatialTransform moving_from_fixed;  ///< the whole: the deformation, then the first alignment
};

/// Aligns two images without a trained model or, with learned `features`, by them. Both 2D or both
/// 3D. Throws shape_error for a 2D image against a volume.
PairRegistration register_pair(const RegistrationImage& fixed,
                               const RegistrationImage& moving,
                               const FeatureFunction& features,
                               const PairRegistrationOptions& options = {});

/// As above, with a first alignment that is known, e.g. from landmarks.
PairRegistration register_pair(const RegistrationImage& fixed,
                               const RegistrationImage& moving,
                               const AffineMap& start,
                               const FeatureFunction& features,
                               const PairRegistrationOptions& options = {});

}  // namespace triptych
