// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/image/point_alignment.h"
#include "framework/image/spatial_transform.h"

#include <cstdint>
#include <string>

namespace triptych::app {

/// Points of a lattice over `grid`, `per_axis` to nearly twice as many along an axis that has them.
PointList lattice_of(const Geometry& grid, std::int64_t per_axis = 24);

/// Whether a position lies on a grid or within half a voxel of it.
bool contains(const Geometry& grid, const Eigen::Vector3d& position_mm);

/// The same for an image to warp, which is constant along an axis of one voxel.
bool shows(const Geometry& grid, const Eigen::Vector3d& position_mm);

/// Beyond its grid a displacement field moves nothing: a field of another image would go unnoticed.
/// Throws geometry_error, naming `file`, for a field that covers none of `points`, and warns of one
/// that covers a part.
void check_covers(const SpatialTransform& transform, PointList points, const std::string& file);

}  // namespace triptych::app
