// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/image/geometry.h"

#include <cstdint>
#include <vector>

namespace triptych {

/// Cuts a grid along D into slabs of `slices` (at least one) each, in order; the last may be
/// thinner.
std::vector<Region> slabs_of_slices(const Index3& shape, std::int64_t slices);

}  // namespace triptych
