// SPDX-License-Identifier: Apache-2.0
#include "framework/model/isotropic_kernel.h"

#include <set>
#include <vector>

#include <ATen/ATen.h>

namespace triptych {
namespace {

/// Squared distances of the taps from the middle, in quarters of a tap so that even kernels have
/// whole numbers too; last axis fastest.
std::vector<std::int64_t> squared_distances(std::int64_t kernel, int dimensions) {
  std::vector<std::int64_t> distances{0};
  for (int axis = 0; axis < dimensions; ++axis) {
    std::vector<std::int64_t> longer;
    for (const std::int64_t distance : distances) {
      for (std::int64_t tap = 0; tap < kernel; ++tap) {
        const std::int64_t offset = 2 * tap - (kernel - 1);
        longer.push_back(distance + offset * offset);
      }
    }
    distances = std::move(longer);
  }
  return distances;
}

}  // namespace

at::Tensor isotropic_kernel(const at::Tensor& weight) {
  const std::int64_t kernel = weight.size(-1);
  const at::Tensor distance =
      at::tensor(squared_distances(kernel, static_cast<int>(weight.dim()) - 2), at::kLong);
  const at::Tensor equal = distance.unsqueeze(0).eq(distance.unsqueeze(1)).to(at::kFloat);
  const at::Tensor mean = (equal / equal.sum(0)).to(weight.options());
  return at::matmul(weight.flatten(2), mean).view(weight.sizes());
}

double taps_per_distance(std::int64_t kernel, int dimensions) {
  const std::vector<std::int64_t> distances = squared_distances(kernel, dimensions);
  const std::set<std::int64_t> different(distances.begin(), distances.end());
  return static_cast<double>(distances.size()) / static_cast<double>(different.size());
}

at::Tensor edge_padded(const at::Tensor& x, std::int64_t width) {
  at::Tensor padded = x;
  for (std::int64_t axis = 2; width > 0 && axis < x.dim(); ++axis) {
    std::vector<std::int64_t> border = padded.sizes().vec();
    border[static_cast<std::size_t>(axis)] = width;
    padded = at::cat({padded.narrow(axis, 0, 1).expand(border),
                      padded,
                      padded.narrow(axis, padded.size(axis) - 1, 1).expand(border)},
                     axis);
  }
  return padded;
}

}  // namespace triptych
