// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/ops/scan_geometry.h"

#include <functional>

#include <ATen/core/Tensor.h>

namespace triptych {

/// Projections [..., A, W] with the geometry of their views.
struct ViewsOfScan {
  at::Tensor projections;
  ScanGeometry scan;
};

/// The views whose number `keeps` accepts.
ViewsOfScan kept_views(const ViewsOfScan& all, const std::function<bool(std::int64_t)>& keeps);

}  // namespace triptych
