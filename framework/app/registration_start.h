// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/app/registration_inputs.h"
#include "framework/registration/robust_start.h"

namespace triptych::app {

/// The first alignment of a pair: that of a file (key `initial`), of landmarks, of the centres of
/// labels, of the poses that a run gives (refined by the images), or of the images. Throws
/// data_error when points do not determine the model, or when the aligned images have no voxel in
/// common.
AffineMap first_alignment(const RegistrationInputs& inputs,
                          const RegisterKeys& keys,
                          const RobustStartOptions& options);

}  // namespace triptych::app
