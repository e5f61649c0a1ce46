// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/infer/plane_fusion.h"

#include <filesystem>
#include <memory>

namespace triptych {

/// `factor` of a slice's axes [slice, row, column] as factors of the volume's axes [D, H, W] for
/// slices along `axis`.
Index3 volume_factor(const Index3& factor, int axis);

/// Predicts every slice of an axis-aligned plane set with a network that gives `factor` [1, rows,
/// columns] pixels for each pixel, and puts the slices together: [C, D, H, W] float32, the in-plane
/// axes `factor` times as long as the input's. Slices are cut and written one by one, so nothing
/// but the result grows.
std::unique_ptr<VolumeStore> predict_finer_slices(const PlanePass& pass,
                                                  const PlaneSet& planes,
                                                  const SliceFunction& predict,
                                                  std::int64_t channels,
                                                  const Index3& factor,
                                                  MemoryBudget& budget,
                                                  const std::filesystem::path& scratch);

}  // namespace triptych
