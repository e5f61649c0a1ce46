// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/data/volume_store.h"
#include "framework/infer/infer_config.h"
#include "framework/infer/slice_planes.h"
#include "framework/infer/volume_accumulator.h"

#include <functional>
#include <span>

#include <ATen/core/Tensor.h>

namespace triptych {

/// Class probabilities or values of the central slice of a slab: [1, C, S, H, W] float32 -> [1, K,
/// 1, H, W] (any float type, any device), same H and W; the function pads to what the network
/// needs. Called from one thread at a time.
using SliceFunction = std::function<at::Tensor(const at::Tensor& slab)>;

/// One pass over a volume along one plane set.
struct PlanePass {
  const VolumeStore& input;  ///< [C, D, H, W] float32
  std::int64_t slab = 1;     ///< neighbouring slices that the function sees
  /// Bytes of predicted slices that are held before they are carried back to the volume, at least
  /// two slices. More means fewer passes over accumulators that lie in a scratch file; the result
  /// is the same bits.
  std::int64_t window_bytes = std::int64_t{64} << 20;
};

/// Predicts every slice of a plane set once and adds the results to each of `receivers` (for
/// instance to the fusions of one, three and nine sets, for a table that compares them).
///
/// A voxel of an oblique set lies between two neighbouring slices and, on each, between four
/// pixels: it gets their values with trilinear weights, when all of them with a weight lie in the
/// volume; otherwise the set says nothing there. Slices are carried back window by window, so no
/// rotated volume is ever held, and a voxel is written by one thread once, so the result depends on
/// neither threads nor window. Shows progress; throws Error("stopped") on a stop request.
void run_plane_set(const PlanePass& pass,
                   const PlaneSet& planes,
                   const SliceFunction& predict,
                   std::span<VolumeAccumulator* const> receivers);

}  // namespace triptych
