// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/app/register_config.h"
#include "framework/registration/deformable_alignment.h"

namespace triptych::app {

/// What the deformation of a pair, `planar` or of volumes, is found by: MIND-SSC, and with the key
/// `run` what that run has learned. A head `descriptor` gives features, by themselves or beside
/// MIND-SSC as `features` says; `registration_svf` and `registration_convex` give the displacement
/// that the descent starts from.
///
/// Throws model_error for a run without such a head, of images of several channels or of another
/// dimension; usage_error where several tasks could be meant, or where nothing of the run would be
/// used.
DeformationGuide alignment_guide(const RegisterKeys& keys, bool planar);

}  // namespace triptych::app
