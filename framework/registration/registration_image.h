// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/image/volume.h"

#include <optional>
#include <string>

namespace triptych {

/// An image as registration works on it: one channel, with a place in the world.
struct RegistrationImage {
  at::Tensor values;  ///< [1, 1, D, H, W] float32, finite
  Geometry geometry;
  at::Tensor mask;  ///< [1, 1, D, H, W] float32, 1 where the image counts, 0 elsewhere; undefined =
                    ///< everywhere
};

/// The image of a volume, with `mask` (on the same grid, > 0 counts) where there is one. Three
/// channels are taken as RGB and become their luminance (ITU-R BT.601).
///
/// `name` stands in the messages. Throws shape_error for other numbers of channels, geometry_error
/// for a mask on another grid, data_error for values that are no numbers, a constant image and an
/// empty mask.
RegistrationImage registration_image(const Volume& volume,
                                     const std::optional<Volume>& mask,
                                     const std::string& name);

/// The same field of view on a coarser grid, smoothed before (resample.h); the mask where at least
/// half of a voxel counts. A grid that is not coarser along any axis gives the image itself. Where
/// the image's spacing is unknown, `spacing_mm` is in pixels.
RegistrationImage coarser(const RegistrationImage& image, const Eigen::Vector3d& spacing_mm);

}  // namespace triptych
