// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/data/volume_store.h"

#include <filesystem>
#include <memory>

#include <ATen/ATen.h>

namespace triptych::testing {

/// A smooth volume [1, D, H, W] with values in [0, 1]: a product of slow cosines of different
/// period along each axis.
inline at::Tensor smooth_volume(const Index3& shape) {
  const auto wave = [](std::int64_t size, double period) {
    return at::arange(size, at::kDouble).mul(2.0 * M_PI / period).cos();
  };
  const at::Tensor p = wave(shape[0], 41.0).view({-1, 1, 1}),
                   r = wave(shape[1], 37.0).view({1, -1, 1});
  return ((p * r * wave(shape[2], 31.0).view({1, 1, -1}) + 1.0) / 2.0).to(at::kFloat).unsqueeze(0);
}

/// A store that holds `volume`, in memory or in a scratch file.
inline std::unique_ptr<VolumeStore> stored(const at::Tensor& volume, MemoryBudget& budget) {
  auto store = std::make_unique<VolumeStore>(volume.size(0),
                                             Index3{volume.size(1), volume.size(2), volume.size(3)},
                                             at::kFloat,
                                             budget,
                                             std::filesystem::temp_directory_path());
  store->tensor().copy_(volume);
  return store;
}

/// Classifier of two classes whose second probability is the slab's central slice.
inline at::Tensor intensity_classifier(const at::Tensor& slab) {
  const at::Tensor p =
      slab.select(2, slab.size(2) / 2).unsqueeze(2).narrow(1, 0, 1).clamp(0.0, 1.0);
  return at::cat({1.0 - p, p}, 1);
}

/// Classifier of two classes by a threshold of one half, with certainty.
inline at::Tensor threshold_classifier(const at::Tensor& slab) {
  const at::Tensor p =
      (slab.select(2, slab.size(2) / 2).unsqueeze(2).narrow(1, 0, 1) > 0.5).to(at::kFloat);
  return at::cat({1.0 - p, p}, 1);
}

}  // namespace triptych::testing
