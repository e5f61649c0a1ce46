// SPDX-License-Identifier: Apache-2.0
#include "framework/image/slabs.h"

#include <algorithm>

namespace triptych {

std::vector<Region> slabs_of_slices(const Index3& shape, std::int64_t slices) {
  std::vector<Region> slabs;
  for (std::int64_t first = 0; first < shape[0]; first += slices)
    slabs.push_back({{first, 0, 0}, {std::min(slices, shape[0] - first), shape[1], shape[2]}});
  return slabs;
}

}  // namespace triptych
