// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/app/register_config.h"
#include "framework/image/spatial_transform.h"
#include "framework/registration/registration_image.h"

namespace triptych::app {

/// The rigid map between two images that a run with the head canonical_pose gives: the pose of each
/// in the canonical frame of their kind, one after the inverse of the other, `moving_from_fixed`.
/// Each image is brought to the voxel size that the run was trained on.
///
/// Throws model_error for a run without that head or of another dimension; geometry_error for
/// images whose field of view is of another scale.
AffineMap canonical_start(const RegistrationImage& fixed,
                          const RegistrationImage& moving,
                          const RegisterKeys& keys);

}  // namespace triptych::app
