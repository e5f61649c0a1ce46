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

/// Whether a 2D image is looked for in a volume.
bool is_section_of_volume(const Geometry& fixed, const Geometry& moving);

/// The first alignment of two images from their grey values: robust_start, or the place of a
/// section in a volume (place_section), with its scale for the model similarity, rigidly for rigid
/// and affine. Throws usage_error for a section and options that it cannot have, else as these do.
AffineMap first_alignment(const RegistrationImage& fixed,
                          const RegistrationImage& moving,
                          const RobustStartOptions& options);

/// Aligns two images without a trained model or, with a learned `guide`, by it. Both 2D, both 3D,
/// or a 2D section (fixed) and a volume; the section is then deformed in its plane. Throws
/// shape_error for a volume against a 2D image.
PairRegistration register_pair(const RegistrationImage& fixed,
                               const RegistrationImage& moving,
                               const DeformationGuide& guide,
                               const PairRegistrationOptions& options = {});

/// As above, with a first alignment that is known, e.g. from landmarks.
PairRegistration register_pair(const RegistrationImage& fixed,
                               const RegistrationImage& moving,
                               const AffineMap& start,
                               const DeformationGuide& guide,
                               const PairRegistrationOptions& options = {});

}  // namespace triptych
