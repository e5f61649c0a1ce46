// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/data/loader.h"

#include <array>
#include <vector>

namespace triptych {

/// The batch with every grid grown at its far ends to multiples of `multiple` (D, H, W), as the
/// network's stride asks.
///
/// Images and vector fields repeat their last voxel, labels get -1, which losses and metrics
/// ignore; BatchEntry::valid says what was there before. Origins stay, so that world positions do
/// too. A role of `roles` that is upsampled grows by as much of its own voxels. Points and
/// projections pass through. Returns the same tensors where nothing is to be done.
Batch padded_to(const Batch& batch,
                const std::array<std::int64_t, 3>& multiple,
                const std::vector<RoleBinding>& roles = {});

/// The first `size` voxels along the last three axes.
at::Tensor unpadded(const at::Tensor& tensor, const Index3& size);

}  // namespace triptych
