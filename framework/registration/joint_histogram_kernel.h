// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace triptych {

// The loops of AffineSimilarity over positions, on plain arrays.

/// Positions of the fixed image with the bins of their grey values.
class FixedPositions {
 public:
  static constexpr std::int64_t kBlock = 64;  ///< the arrays are filled up to a multiple

  void add(float x, float y, float z, std::int32_t bin);
  std::int64_t size() const { return size_; }
  const float* x() const { return x_.data(); }
  const float* y() const { return y_.data(); }
  const float* z() const { return z_.data(); }
  const std::int32_t* bins() const { return bins_.data(); }

 private:
  std::int64_t size_ = 0;
  std::vector<float> x_, y_, z_;
  std::vector<std::int32_t> bins_;
};

/// The moving image: grey values in bins, and how positions become voxel indices.
struct MovingVoxels {
  const float* values = nullptr;                ///< [D, H, W]
  const float* mask = nullptr;                  ///< the same, or null where everything counts
  std::array<std::int64_t, 3> size{1, 1, 1};    ///< along x, y, z
  std::array<std::array<float, 4>, 3> index{};  ///< voxel index = index * (x, y, z, 1)
};

/// Sums over the positions of d value / d index, times 1 and the position.
struct IndexGradient {
  std::array<double, 3> sum{};
  std::array<std::array<double, 3>, 3> by_position{};  ///< [index axis][position axis]
};

/// Bins of a row of the histogram: one more on either side for the windows.
constexpr std::int64_t histogram_row(std::int64_t bins) { return bins + 2; }

/// Weights of pairs of grey values, [bins, histogram_row(bins)] (fixed, moving): each position adds
/// its weight to the fixed value's bin and, by quadratic B-splines, to the three bins about the
/// moving one's value + 1. Weights fall to 0 over the border voxels and are those of the mask.
std::vector<double> count_pairs(const FixedPositions& fixed,
                                const MovingVoxels& moving,
                                std::int64_t bins);

/// The gradient of a function of the histogram with derivatives `by_cell`, and that of the sum of
/// weights.
struct PairGradients {
  IndexGradient function, weight;
};
PairGradients differentiate_pairs(const FixedPositions& fixed,
                                  const MovingVoxels& moving,
                                  std::int64_t bins,
                                  const std::vector<float>& by_cell);

}  // namespace triptych
