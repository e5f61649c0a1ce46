// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/image/itk_transform_record.h"

#include <optional>

namespace triptych {

/// The transform of space that does in the plane z = 0 what a record of two dimensions (types
/// ending in _2_2) does, and leaves z as it is; other records as they are. Throws data_error,
/// naming `place`, for numbers of parameters that do not fit the type and for types that are not
/// understood.
ItkTransformRecord raised_from_plane(const ItkTransformRecord& record, const std::string& place);

/// The record of two dimensions of an affine map or displacement field of space in double precision
/// that leaves z as it is; nothing for one that does not.
std::optional<ItkTransformRecord> lowered_to_plane(const ItkTransformRecord& record);

}  // namespace triptych
