// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/data/volume_store.h"
#include "framework/infer/volume_accumulator.h"

#include <array>
#include <cstdint>
#include <functional>
#include <vector>

#include <ATen/core/Tensor.h>

namespace triptych {

/// Class probabilities or values of a block: [1, C, D, H, W] float32 -> [1, K, D, H, W]; pads to
/// what the network needs.
using BlockFunction = std::function<at::Tensor(const at::Tensor& block)>;

/// Blocks of a 3D network along one axis: equal lengths, neighbours overlapping, covering [0,
/// size).
struct AxisBlocks {
  std::int64_t length = 0;
  std::vector<std::int64_t> starts;

  /// Weight of each voxel of block `index`: 1 inside, falling linearly across the overlap with each
  /// neighbour so that the weights of all blocks at a voxel sum to one (a tent; no division by
  /// summed weights is needed).
  std::vector<float> weights(std::size_t index) const;
};

/// Starts spread evenly; `overlap` is the smallest part of a block that two neighbours share, in
/// [0, 0.5].
AxisBlocks make_axis_blocks(std::int64_t size, std::int64_t block, double overlap);

/// Predicts `input` [C, D, H, W] block by block and adds the weighted results to `receiver` as one
/// prediction. At most eight blocks meet in a voxel, so rounding adds at most 8 / 130000 to votes.
/// The blocks run in a fixed order, so the result is the same bits everywhere. Shows progress,
/// honours stops.
void run_blocks(const VolumeStore& input,
                const std::array<std::int64_t, 3>& block,
                double overlap,
                const BlockFunction& predict,
                VolumeAccumulator& receiver);

}  // namespace triptych
