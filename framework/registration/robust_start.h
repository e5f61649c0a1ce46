// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/config/fields.h"
#include "framework/image/spatial_transform.h"
#include "framework/registration/registration_image.h"

#include <string>

namespace triptych {

/// Key `start` of a registration.
struct RobustStartOptions {
  std::string model = "affine";
  double largest_rotation_deg = 180.0;

  void visit(auto& field) {
    field("model",
          model,
          "first alignment, before the deformation: none trusts the files' own coordinates",
          config::OneOf{"none", "translation", "rigid", "similarity", "affine"});
    field("largest_rotation_deg",
          largest_rotation_deg,
          "rotations up to this are tried",
          config::Between{0.0, 180.0},
          config::Unit{"degrees"});
  }
};

/// The global transform that aligns two images from nothing but their grey values,
/// `moving_from_fixed`, whatever their grids, modalities and fields of view.
AffineMap robust_start(const RegistrationImage& fixed,
                       const RegistrationImage& moving,
                       const RobustStartOptions& options = {});

}  // namespace triptych
