// SPDX-License-Identifier: Apache-2.0
#include "framework/infer/finer_slices.h"

#include "framework/core/error.h"
#include "framework/core/progress.h"
#include "framework/core/shape.h"
#include "framework/core/stop.h"
#include "framework/data/sample.h"
#include "framework/infer/plane_sampling.h"

#include <ATen/ATen.h>

namespace triptych {
namespace {

/// [C, slice, row, column] -> [C, D, H, W] of slices along `axis`.
at::Tensor in_volume_order(const at::Tensor& slice, int axis) {
  std::array<std::int64_t, 4> order{0, 0, 0, 0};
  for (std::size_t i = 0; i < 3; ++i)
    order[1 + static_cast<std::size_t>(kSliceOrder[axis][i])] = static_cast<std::int64_t>(1 + i);
  return slice.permute(order);
}

}  // namespace

Index3 volume_factor(const Index3& factor, int axis) {
  Index3 result{};
  for (std::size_t i = 0; i < 3; ++i)
    result[static_cast<std::size_t>(kSliceOrder[axis][i])] = factor[i];
  return result;
}

std::unique_ptr<VolumeStore> predict_finer_slices(const PlanePass& pass,
                                                  const PlaneSet& planes,
                                                  const SliceFunction& predict,
                                                  std::int64_t channels,
                                                  const Index3& factor,
                                                  MemoryBudget& budget,
                                                  const std::filesystem::path& scratch) {
  TRIPTYCH_ASSERT(planes.axis_aligned && factor[0] == 1);
  const Index3 growth = volume_factor(factor, planes.axis);
  Index3 shape = pass.input.shape();
  for (std::size_t i = 0; i < 3; ++i) shape[i] *= growth[i];
  auto result = std::make_unique<VolumeStore>(channels, shape, at::kFloat, budget, scratch);
  SlabReader reader(pass.input, planes, pass.slab, pass.window_bytes);
  Progress progress("predict " + planes.name, planes.slices);
  for (std::int64_t slice = 0; slice < planes.slices; ++slice) {
    if (stop_requested() != 0) throw Error("stopped", "prediction stopped by a signal");
    const SliceWindow window = window_in_volume(planes, pass.input.shape(), slice);
    const at::Tensor predicted = predict(reader.read(slice, window));
    check_shape(predicted,
                {1, channels, 1, window.rows * factor[1], window.columns * factor[2]},
                "prediction of a slice");
    if (!at::isfinite(predicted.sum()).item<bool>()) {
      throw numeric_error(
          fmt::format("prediction of slice {} along {}: NaN or infinite value", slice, planes.name),
          "the input or the weights hold NaN, or bfloat16 overflows: try infer.precision=float32");
    }
    Region region{{0, 0, 0}, shape};
    region.start[static_cast<std::size_t>(planes.axis)] = slice;
    region.size[static_cast<std::size_t>(planes.axis)] = 1;
    result->write(region, in_volume_order(predicted[0], planes.axis).contiguous());
    pass.input.release_pages();
    progress.update(slice + 1);
  }
  progress.finish();
  return result;
}

}  // namespace triptych
