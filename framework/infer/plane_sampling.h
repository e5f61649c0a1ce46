// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/data/volume_store.h"
#include "framework/infer/slice_planes.h"

#include <vector>

#include <ATen/core/Tensor.h>

namespace triptych {

/// `slab` neighbouring slices around `slice` of a plane set, cut out of `volume` [C, D, H, W]
/// float32 (CPU, contiguous): [1, C, slab, rows, columns] of the window. Axis-aligned slices are
/// copied; oblique ones are sampled trilinearly.
///
/// What lies outside the volume repeats its edge: neighbours beyond the first or last slice, and
/// the pixels of an oblique slice beyond the volume's faces (positions are clamped axis by axis).
/// So a network meets at an oblique border what it meets at a straight one under edge replication,
/// and no artificial dark rim, as zero filling would draw. Such pixels are context only; they get
/// no vote.
at::Tensor sample_slab(const at::Tensor& volume,
                       const PlaneSet& planes,
                       std::int64_t slice,
                       std::int64_t slab,
                       const SliceWindow& window);

/// Cuts the slabs of one plane set out of a store, slice after slice. Where the store is a scratch
/// file, axis-aligned slices are copied in blocks of `block_bytes`: a slice along axis 1 or 2
/// touches every page of the file, and a block of them touches each page once for all of its
/// slices. The result is the same.
class SlabReader {
 public:
  SlabReader(const VolumeStore& input,
             const PlaneSet& planes,
             std::int64_t slab,
             std::int64_t block_bytes);
  at::Tensor read(std::int64_t slice, const SliceWindow& window);

 private:
  void load_block(std::int64_t first);
  at::Tensor read_from_store(std::int64_t slice, const SliceWindow& window) const;

  const VolumeStore& input_;
  const PlaneSet& planes_;
  std::int64_t slab_;
  std::int64_t block_slices_ = 0;  ///< 0 = read from the store itself
  PlaneSet block_planes_;
  at::Tensor block_;
  std::int64_t block_first_ = 0, block_end_ = 0;
};

/// Which pixels of a window lie in the volume, [rows * columns], 1 or 0.
std::vector<std::uint8_t> inside_mask(const PlaneSet& planes,
                                      const Index3& shape,
                                      std::int64_t slice,
                                      const SliceWindow& window);

}  // namespace triptych
