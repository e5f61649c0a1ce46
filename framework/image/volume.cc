// SPDX-License-Identifier: Apache-2.0
#include "framework/image/volume.h"

#include "framework/core/error.h"
#include "framework/core/shape.h"

namespace triptych {

void check_volume(const Volume& volume, const std::string& name) {
  if (!volume.data.defined())
    throw shape_error(name + ": expected a tensor [C, D, H, W], got none");
  const auto& shape = volume.geometry.shape;
  check_shape(volume.data, {kAny, shape[0], shape[1], shape[2]}, name);
  check_valid(volume.geometry, name);
}

}  // namespace triptych
