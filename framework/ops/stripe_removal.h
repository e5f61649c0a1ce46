// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace triptych {

/// Removes the stripes of sinograms that become rings in slices, by sorting (Vo, Atwood and
/// Drakopoulos 2018, Optics Express 26:28396, algorithm 3).
///
/// `sinograms` are [..., A, W], float32. Each column is sorted along the angles, so that a row
/// holds values of equal rank; a median over `window` neighbouring columns of every row takes out
/// what differs from its neighbours at all ranks; then the values return to their angles. A stripe
/// must be narrower than half the window; edges of the object move little, since they are at
/// different ranks only where the object itself changes. At the outer columns the window is
/// continued by the outermost value. `window` is odd, at least 3. Equal for every number of
/// threads.
at::Tensor remove_stripes_by_sorting(const at::Tensor& sinograms, std::int64_t window);

}  // namespace triptych
