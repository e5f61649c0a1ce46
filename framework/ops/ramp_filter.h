// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/ops/filtered_back_projection.h"
#include "framework/ops/ramp_kernel.h"

#include <cstdint>
#include <memory>
#include <vector>

namespace triptych {

/// Zero-padded length of a filtered row: a power of two of at least 2 `columns`.
std::int64_t padded_columns(std::int64_t columns);

/// The windowed ramp's frequency response at k / padded_columns, k = 0 .. padded_columns / 2, in
/// cycles a column: about k / padded_columns with kRamLak. `step_rad` > 0 is the angle between the
/// columns of a curved detector, else 0.
std::vector<double> ramp_response(std::int64_t columns, RampFilter filter, double step_rad);

/// The linear operator of filter_projections on [..., A, columns].
std::shared_ptr<const LinearOperator> make_ramp(const ScanGeometry& scan,
                                                std::int64_t columns,
                                                RampFilter filter);

/// The same for packed float32 slices.
RampKernel make_ramp_kernel(const ScanGeometry& scan, std::int64_t columns, RampFilter filter);

}  // namespace triptych
