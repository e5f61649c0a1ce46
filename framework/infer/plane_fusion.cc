// SPDX-License-Identifier: Apache-2.0
#include "framework/infer/plane_fusion.h"

#include "framework/core/error.h"
#include "framework/core/parallel.h"
#include "framework/core/progress.h"
#include "framework/core/stop.h"
#include "framework/infer/plane_sampling.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <vector>

#include <ATen/ATen.h>

namespace triptych {
namespace {

constexpr double kWeightTolerance =
    1e-6;  ///< a neighbour nearer to zero weight than this is not needed
constexpr std::int64_t kCarryGrain = 64;
/// Voxels of the volume after which the receivers' pages are let go.
constexpr std::int64_t kBlockVoxels = 1 << 22;

/// A predicted slice until it is carried back.
struct SlicePrediction {
  SliceWindow window;
  at::Tensor values;                 ///< [rows, columns, K] float32
  std::vector<std::uint8_t> inside;  ///< [rows * columns]
};

SlicePrediction predict_slice(const Index3& shape,
                              SlabReader& reader,
                              const PlaneSet& planes,
                              std::int64_t slice,
                              const SliceFunction& predict,
                              std::int64_t channels) {
  SlicePrediction result;
  result.window = window_in_volume(planes, shape, slice);
  if (result.window.empty()) return result;
  const SliceWindow& window = result.window;
  const at::Tensor predicted = predict(reader.read(slice, window));
  const std::array<std::int64_t, 5> expected{1, channels, 1, window.rows, window.columns};
  if (predicted.sizes() != at::IntArrayRef(expected)) {
    throw shape_error(
        fmt::format("prediction of slice {} along {}: expected shape [1, {}, 1, {}, {}], got {}",
                    slice,
                    planes.name,
                    channels,
                    window.rows,
                    window.columns,
                    c10::str(predicted.sizes())));
  }
  result.values =
      predicted.to(at::kCPU, at::kFloat).select(2, 0)[0].permute({1, 2, 0}).contiguous();
  if (!at::isfinite(result.values.sum()).item<bool>()) {
    throw numeric_error(
        fmt::format("prediction of slice {} along {}: NaN or infinite value", slice, planes.name),
        "the input or the weights hold NaN, or bfloat16 overflows: try infer.precision=float32");
  }
  result.inside = inside_mask(planes, shape, slice, window);
  return result;
}

/// Index and weights of a voxel's two neighbours along an axis of the plane stack.
struct Neighbours {
  std::int64_t low;
  float weight[2];
  bool needed[2];
};

inline Neighbours neighbours_of(double position) {
  const double floor = std::floor(position + kWeightTolerance);
  const double fraction = std::clamp(position - floor, 0.0, 1.0);
  const bool upper = fraction > kWeightTolerance;
  const auto weight = static_cast<float>(upper ? fraction : 0.0);
  return {static_cast<std::int64_t>(floor), {1.0F - weight, weight}, {true, upper}};
}

/// Carries predicted slices [first, first + slices.size()) back to the voxels whose lower neighbour
/// is one of [first, first + owned).
class CarryBack {
 public:
  CarryBack(const PlaneSet& planes,
            const Index3& shape,
            std::int64_t channels,
            std::span<VolumeAccumulator* const> receivers)
      : planes_(planes), shape_(shape), channels_(channels), receivers_(receivers) {}

  void run(std::int64_t first,
           std::int64_t owned,
           const std::vector<SlicePrediction>& slices) const {
    const std::int64_t rows = shape_[0] * shape_[1];
    const std::int64_t block = std::max(kCarryGrain, kBlockVoxels / shape_[2]);
    for (std::int64_t start = 0; start < rows; start += block) {
      std::atomic<bool> touched = false;
      const auto carry = [&](std::int64_t begin, std::int64_t end) {
        CarriedRow carried;
        for (std::int64_t row = start + begin; row < start + end; ++row) {
          carry_row(row, first, owned, slices, carried);
          if (!carried.voxels.empty()) touched = true;
        }
      };
      parallel_for(std::min(block, rows - start), kCarryGrain, carry);
      if (!touched) continue;
      for (const VolumeAccumulator* receiver : receivers_) receiver->release_pages();
    }
  }

 private:
  /// Voxels of one row and their values [n, K].
  struct CarriedRow {
    std::vector<std::int64_t> voxels;
    std::vector<float> values;
  };

  /// The voxels (p, r, *) of one row of the volume.
  void carry_row(std::int64_t row,
                 std::int64_t first,
                 std::int64_t owned,
                 const std::vector<SlicePrediction>& slices,
                 CarriedRow& carried) const {
    carried.voxels.clear();
    carried.values.clear();
    const Eigen::Vector3d start(
        static_cast<double>(row / shape_[1]), static_cast<double>(row % shape_[1]), 0.0);
    const Eigen::Vector3d offset = start - planes_.origin;
    const double slice_start = offset.dot(planes_.normal), slice_step = planes_.normal[2];
    std::int64_t c_begin = 0, c_end = shape_[2];
    if (std::abs(slice_step) > 1e-9) {
      // A margin of one voxel; which voxel belongs to which slice is decided below, by one
      // expression for all windows.
      const double a = (static_cast<double>(first) - slice_start) / slice_step;
      const double b = (static_cast<double>(first + owned) - slice_start) / slice_step;
      c_begin = std::clamp<std::int64_t>(
          static_cast<std::int64_t>(std::floor(std::min(a, b))) - 1, 0, shape_[2]);
      c_end = std::clamp<std::int64_t>(
          static_cast<std::int64_t>(std::ceil(std::max(a, b))) + 2, 0, shape_[2]);
    }
    const double i_start = offset.dot(planes_.row), j_start = offset.dot(planes_.column);
    for (std::int64_t c = c_begin; c < c_end; ++c) {
      const auto x = static_cast<double>(c);
      const Neighbours s = neighbours_of(slice_start + x * slice_step);
      if (s.low < first || s.low >= first + owned) continue;
      const Neighbours i = neighbours_of(i_start + x * planes_.row[2]);
      const Neighbours j = neighbours_of(j_start + x * planes_.column[2]);
      carried.values.resize((carried.voxels.size() + 1) * static_cast<std::size_t>(channels_),
                            0.0F);
      float* values =
          carried.values.data() + carried.voxels.size() * static_cast<std::size_t>(channels_);
      if (gather(slices, s, s.low - first, i, j, values))
        carried.voxels.push_back(row * shape_[2] + c);
    }
    for (VolumeAccumulator* receiver : receivers_)
      receiver->add(carried.voxels, carried.values.data());
  }

  /// Trilinear mean of the predictions around a voxel; false if one that is needed does not lie in
  /// the volume.
  bool gather(const std::vector<SlicePrediction>& slices,
              const Neighbours& s,
              std::int64_t slice,
              const Neighbours& i,
              const Neighbours& j,
              float* sums) const {
    std::fill_n(sums, channels_, 0.0F);
    for (int ds = 0; ds < 2; ++ds) {
      if (!s.needed[ds]) continue;
      if (slice + ds >= static_cast<std::int64_t>(slices.size())) return false;
      const SlicePrediction& prediction = slices[static_cast<std::size_t>(slice + ds)];
      const SliceWindow& window = prediction.window;
      if (window.empty()) return false;
      const float* values = prediction.values.data_ptr<float>();
      for (int di = 0; di < 2; ++di) {
        for (int dj = 0; dj < 2; ++dj) {
          if (!i.needed[di] || !j.needed[dj]) continue;
          const std::int64_t y = i.low + di - window.row, x = j.low + dj - window.column;
          if (y < 0 || x < 0 || y >= window.rows || x >= window.columns) return false;
          const std::int64_t pixel = y * window.columns + x;
          if (prediction.inside[static_cast<std::size_t>(pixel)] == 0) return false;
          const float weight = s.weight[ds] * i.weight[di] * j.weight[dj];
          const float* p = values + pixel * channels_;
          for (std::int64_t k = 0; k < channels_; ++k) sums[k] += weight * p[k];
        }
      }
    }
    return true;
  }

  const PlaneSet& planes_;
  Index3 shape_;
  std::int64_t channels_;
  std::span<VolumeAccumulator* const> receivers_;
};

}  // namespace

void run_plane_set(const PlanePass& pass,
                   const PlaneSet& planes,
                   const SliceFunction& predict,
                   std::span<VolumeAccumulator* const> receivers) {
  TRIPTYCH_ASSERT(!receivers.empty() && pass.slab % 2 == 1);
  const std::int64_t channels = receivers.front()->channels();
  for (VolumeAccumulator* receiver : receivers) {
    TRIPTYCH_ASSERT(receiver->channels() == channels && receiver->shape() == pass.input.shape());
    receiver->begin_prediction();
  }
  const CarryBack carry_back(planes, pass.input.shape(), channels, receivers);
  const std::int64_t slice_bytes =
      planes.rows * planes.columns * channels * static_cast<std::int64_t>(sizeof(float));
  const auto held = static_cast<std::size_t>(
      std::max<std::int64_t>(2, pass.window_bytes / std::max<std::int64_t>(1, slice_bytes)));

  SlabReader reader(pass.input, planes, pass.slab, pass.window_bytes);
  Progress progress("predict " + planes.name, planes.slices);
  std::vector<SlicePrediction> slices;
  std::int64_t first = 0;  // slice index of slices.front()
  for (std::int64_t slice = 0; slice < planes.slices; ++slice) {
    if (stop_requested() != 0) throw Error("stopped", "prediction stopped by a signal");
    slices.push_back(predict_slice(pass.input.shape(), reader, planes, slice, predict, channels));
    progress.update(slice + 1);
    const bool last = slice + 1 == planes.slices;
    if (slices.size() < held && !last) continue;
    // The last slice of a window stays: voxels between it and the next one wait for that.
    const auto owned = static_cast<std::int64_t>(slices.size()) - (last ? 0 : 1);
    carry_back.run(first, owned, slices);
    pass.input.release_pages();
    first += owned;
    slices.erase(slices.begin(), slices.end() - (last ? 0 : 1));
  }
  progress.finish();
}

}  // namespace triptych
