// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/config/fields.h"
#include "framework/image/spatial_transform.h"
#include "framework/registration/registration_image.h"

#include <cstdint>
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

/// What a search for a first alignment found.
struct StartReport {
  AffineMap moving_from_fixed;
  double similarity = 0.0;      ///< normalised mutual information - 1, in [0, 1]
  double overlap = 0.0;         ///< share of the smaller image that lies within the other
  std::int64_t candidates = 0;  ///< first guesses that were compared
  /// Score of the best clearly different alignment relative to that of the chosen one; towards 1
  /// the choice is uncertain.
  double runner_up = 0.0;
};

/// The global transform that aligns two images from nothing but their grey values,
/// `moving_from_fixed`, whatever their grids, modalities and fields of view.
AffineMap robust_start(const RegistrationImage& fixed,
                       const RegistrationImage& moving,
                       const RobustStartOptions& options = {});

/// The same with what is known about it.
///
/// First guesses (the files' coordinates, centres, principal axes, a grid of rotations, each with
/// shifts) are compared on coarse grids by normalised mutual information, the best refined, first
/// rigidly, on ever finer grids (as Jenkinson and Smith, A global optimisation method for robust
/// affine registration of brain images, 2001). Of nearly equal ones the files' coordinates win.
/// Planar images are moved within their planes. There are no reflections.
///
/// Warns where a clearly different alignment is nearly as good, and of a small overlap. Throws
/// shape_error for a planar image against a volume, data_error where no guess makes the images
/// overlap in more than one grey value.
StartReport find_start(const RegistrationImage& fixed,
                       const RegistrationImage& moving,
                       const RobustStartOptions& options = {});

/// The alignment near a first guess, as of poses that a network gives: the same comparison of
/// rotations by at most 30 degrees about it. Throws as find_start does.
StartReport refine_start(const RegistrationImage& fixed,
                         const RegistrationImage& moving,
                         const AffineMap& guess,
                         const RobustStartOptions& options = {});

}  // namespace triptych
