// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/scan_views.h"

#include <ATen/ATen.h>

namespace triptych {

ViewsOfScan kept_views(const ViewsOfScan& all, const std::function<bool(std::int64_t)>& keeps) {
  ViewsOfScan kept{{}, all.scan};
  kept.scan.angles_rad.clear();
  std::vector<std::int64_t> numbers;
  for (std::int64_t view = 0; view < all.projections.size(-2); ++view) {
    if (!keeps(view)) continue;
    numbers.push_back(view);
    kept.scan.angles_rad.push_back(all.scan.angles_rad[static_cast<std::size_t>(view)]);
  }
  kept.projections = all.projections.index_select(-2, at::tensor(numbers, at::kLong));
  return kept;
}

}  // namespace triptych
