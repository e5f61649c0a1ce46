// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include <ATen/core/Tensor.h>

#include "framework/infer/slice_planes.h"

namespace triptych {

/// `slab` neighbouring slices around `slice` of a plane set, cut out of `volume` [C, D, H, W] float32 (CPU, contiguous):
/// [1, C, slab, rows, columns] of the window. Axis-aligned slices are copied; oblique ones are sampled trilinearly.
///
/// What lies outside the volume repeats its edge: neighbours beyond the first or last slice, and the pixels of an oblique
/// slice beyond the volume's faces (positions are clamped axis by axis). So a network meets at an oblique border what it
/// meets at a straight one under edge replication, and no artificial dark rim, as zero filling would draw. Such pixels are
/// context only; they get no vote.
at::Tensor sample_slab(const at::Tensor& volume,
                       const PlaneSet& planes,
                       std::int64_t slice,
                       std::int64_t slab,
                       const SliceWindow& window);

/// Which pixels of a window lie in the volume, [rows * columns], 1 or 0.
std::vector<std::uint8_t> inside_mask(const PlaneSet& planes,
                                      const Index3& shape,
                                      std::int64_t slice,
                                      const SliceWindow& window);

}  // namespace triptych
