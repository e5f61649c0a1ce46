// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/image/geometry.h"

#include <map>
#include <string>

#include <ATen/core/Tensor.h>

namespace triptych {

/// An image with its place in the world.
///
/// `data` is [C, D, H, W] in any real type (what the file holds, or float32 after processing); the
/// geometry's shape equals [D, H, W]. 2D images have D = 1.
struct Volume {
  at::Tensor data;
  Geometry geometry;
  std::string modality;  ///< "srct", "labct", "mri", "histology", "" when unknown
  std::map<std::string, std::string>
      metadata;  ///< provenance: file, sample, device, processing history
};

/// Throws shape_error or geometry_error unless data is [C, D, H, W] with the geometry's shape.
void check_volume(const Volume& volume, const std::string& name);

}  // namespace triptych
