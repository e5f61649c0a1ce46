// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/image/spatial_transform.h"
#include "framework/registration/registration_image.h"

#include <filesystem>

namespace triptych::app {

/// What the pictures of a registration show, at working resolution.
struct PicturedPair {
  const RegistrationImage& fixed;
  const RegistrationImage& moving;
  const AffineMap& start;             ///< first alignment alone
  const SpatialTransform& transform;  ///< the whole, moving_from_fixed
  const at::Tensor& determinant;      ///< [1, D, H, W] of the deformation on the fixed grid
};

/// Writes before_after.png, checkerboard.png and overlay.png, and for a transform with a
/// deformation deformed_grid.png and log_jacobian.png: the three planes through the middle of the
/// fixed image, or the 2D image.
void write_pictures(const std::filesystem::path& folder, const PicturedPair& pair);

}  // namespace triptych::app
