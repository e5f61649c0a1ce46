// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/image/volume.h"

namespace triptych {

enum class Interpolation { kNearest, kLinear };

/// Samples `volume` at the voxel centres of `target` (any geometry), through physical space.
/// Outside the volume (more than half a voxel beyond the outer centres) the value is `fill`; the
/// border half voxel repeats the edge. Linear gives float32, nearest keeps the type. When shrinking
/// with kLinear the input is first smoothed by a Gaussian of 0.5 * sqrt(factor^2 - 1) voxels per
/// axis (factor = target step / source step), against aliasing.
Volume resample(const Volume& volume,
                const Geometry& target,
                Interpolation interpolation,
                double fill = 0.0);

/// Resamples to spacing (x, y, z) in mm with the same field of view.
Volume resample_to_spacing(const Volume& volume,
                           const Eigen::Vector3d& spacing_mm,
                           Interpolation interpolation);

/// Reorders and flips axes (no interpolation) so that the grid comes closest to `orientation`, e.g.
/// "LPS".
Volume reorient(const Volume& volume, const std::string& orientation);

}  // namespace triptych
