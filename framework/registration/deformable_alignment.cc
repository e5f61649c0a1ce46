// SPDX-License-Identifier: Apache-2.0
#include "framework/registration/deformable_alignment.h"

#include "framework/ops/convex_search.h"
#include "framework/ops/mind.h"
#include "framework/ops/warp.h"

#include <ATen/ATen.h>

namespace triptych {

FeatureFunction mind_features() {
  return [](const at::Tensor& image, const Geometry&) { return mind_ssc(image); };
}

DisplacementField align_deformable(const RegistrationImage& fixed,
                                   const RegistrationImage& moving,
                                   const AffineMap& start,
                                   const FeatureFunction& features,
                                   const DeformationOptions& /*options*/) {
  const at::NoGradGuard no_grad;
  const Geometry& grid = fixed.geometry;
  const at::Tensor onto_fixed = displacement_on(start, grid).unsqueeze(0);
  const at::Tensor seen = warp(moving.values, moving.geometry, onto_fixed, grid);
  return {grid, convex_search(features(fixed.values, grid), features(seen, grid), grid)[0]};
}

}  // namespace triptych
