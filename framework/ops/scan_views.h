// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/ops/projector.h"

#include <cstdint>
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

/// The measured views [..., D, A, W] and, after them, `between` evenly spaced ones for each gap
/// between neighbouring angles, as project() makes them of `image` [..., D, H, W]. After the last
/// view lies a gap as before it, as far as the half turn (of fans: the turn) reaches. Filtered back
/// projection of all shows what the image explains without the streaks of few views, and keeps what
/// was measured.
ViewsOfScan with_views_between(const ViewsOfScan& measured,
                               const at::Tensor& image,
                               std::int64_t between,
                               const SliceGrid& grid);

}  // namespace triptych
