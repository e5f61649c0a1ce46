// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/config/fields.h"
#include "framework/image/spatial_transform.h"
#include "framework/registration/registration_image.h"

#include <cstdint>
#include <functional>

namespace triptych {

/// Features that are compared: image [1, 1, D, H, W] on its grid -> [1, C, D, H, W] float32.
using FeatureFunction = std::function<at::Tensor(const at::Tensor& image, const Geometry& grid)>;

/// MIND-SSC descriptors (ops/mind.h): features of any modality without training.
FeatureFunction mind_features();

/// Key `deformation` of a registration.
struct DeformationOptions {
  bool enabled = true;
  std::int64_t iterations = 80;
  double regularisation = 1.25;

  void visit(auto& field) {
    field("enabled", enabled, "false stops after the first alignment");
    field("iterations", iterations, "of Adam on the displacements", config::AtLeast{0});
    field("regularisation",
          regularisation,
          "weight of the field's roughness against the difference of the features",
          config::AtLeast{0.0});
  }
};

/// The smooth displacement u that brings `moving`, seen through `start`, onto `fixed`: positions of
/// the fixed space go to start(x + u(x)). The field lies on a grid over the fixed image.
DisplacementField align_deformable(const RegistrationImage& fixed,
                                   const RegistrationImage& moving,
                                   const AffineMap& start,
                                   const FeatureFunction& features,
                                   const DeformationOptions& options = {});

}  // namespace triptych
