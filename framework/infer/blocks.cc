// SPDX-License-Identifier: Apache-2.0
#include "framework/infer/blocks.h"

#include "framework/core/error.h"
#include "framework/core/parallel.h"
#include "framework/core/progress.h"
#include "framework/core/stop.h"

#include <algorithm>
#include <cmath>

#include <ATen/ATen.h>

namespace triptych {
namespace {

constexpr std::int64_t kRowGrain = 64;

/// Where a block lies and how much each of its voxels counts, axis by axis.
struct Block {
  Index3 start{}, size{};
  std::array<std::vector<float>, 3> weights;
};

void add_block(const Block& block, const at::Tensor& predicted, VolumeAccumulator& receiver) {
  const Index3& shape = receiver.shape();
  const float* p = predicted.data_ptr<float>();
  const std::int64_t rows = block.size[0] * block.size[1];
  parallel_for(receiver.channels() * rows, kRowGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      const std::int64_t d = row % rows / block.size[1], h = row % block.size[1];
      const float row_weight = block.weights[0][static_cast<std::size_t>(d)] *
                               block.weights[1][static_cast<std::size_t>(h)];
      const std::int64_t first =
          ((block.start[0] + d) * shape[1] + block.start[1] + h) * shape[2] + block.start[2];
      const std::span<const float> values(p + row * block.size[2],
                                          static_cast<std::size_t>(block.size[2]));
      receiver.add_weighted(row / rows, first, values, row_weight, block.weights[2].data());
    }
  });
}

at::Tensor predict_block(const at::Tensor& image,
                         const BlockFunction& predict,
                         std::int64_t channels) {
  const at::Tensor predicted = predict(image);
  const std::array<std::int64_t, 5> expected{
      1, channels, image.size(2), image.size(3), image.size(4)};
  if (predicted.sizes() != at::IntArrayRef(expected)) {
    throw shape_error(fmt::format("prediction of a block: expected shape {}, got {}",
                                  c10::str(at::IntArrayRef(expected)),
                                  c10::str(predicted.sizes())));
  }
  const at::Tensor result = predicted.to(at::kCPU, at::kFloat).contiguous();
  if (!at::isfinite(result.sum()).item<bool>())
    throw numeric_error("prediction of a block: NaN or infinite value");
  return result;
}

}  // namespace

std::vector<float> AxisBlocks::weights(std::size_t index) const {
  std::vector<float> result(static_cast<std::size_t>(length), 1.0F);
  const auto ramp = [&](std::int64_t shared, bool rising) {
    for (std::int64_t i = 0; i < shared; ++i) {
      const float weight = (static_cast<float>(i) + 0.5F) / static_cast<float>(shared);
      if (rising) {
        result[static_cast<std::size_t>(i)] *= weight;
      } else {
        result[static_cast<std::size_t>(length - 1 - i)] *= weight;
      }
    }
  };
  if (index > 0) ramp(starts[index - 1] + length - starts[index], true);
  if (index + 1 < starts.size()) ramp(starts[index] + length - starts[index + 1], false);
  return result;
}

AxisBlocks make_axis_blocks(std::int64_t size, std::int64_t block, double overlap) {
  TRIPTYCH_ASSERT(size >= 1 && block >= 1 && overlap >= 0.0 && overlap <= 0.5);
  if (size <= block) return {size, {0}};
  const auto step = std::max<std::int64_t>(
      1, static_cast<std::int64_t>(std::floor(static_cast<double>(block) * (1.0 - overlap))));
  const std::int64_t last = size - block, intervals = (last + step - 1) / step;
  AxisBlocks result{block, {}};
  for (std::int64_t i = 0; i <= intervals; ++i) result.starts.push_back(last * i / intervals);
  // Three blocks in one voxel would break the tents' sum; it takes an odd block with half overlap
  // and a bad remainder.
  for (std::size_t i = 2; i < result.starts.size(); ++i) {
    if (result.starts[i - 2] + block > result.starts[i])
      return make_axis_blocks(size, block, std::max(0.0, overlap - 0.05));
  }
  return result;
}

void run_blocks(const VolumeStore& input,
                const std::array<std::int64_t, 3>& block,
                double overlap,
                const BlockFunction& predict,
                VolumeAccumulator& receiver) {
  TRIPTYCH_ASSERT(receiver.shape() == input.shape());
  receiver.begin_prediction();
  std::array<AxisBlocks, 3> axes;
  std::int64_t total = 1;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    axes[axis] = make_axis_blocks(input.shape()[axis], block[axis], overlap);
    total *= static_cast<std::int64_t>(axes[axis].starts.size());
  }
  Progress progress("predict blocks", total);
  const auto columns = static_cast<std::int64_t>(axes[2].starts.size());
  const auto rows = static_cast<std::int64_t>(axes[1].starts.size());
  for (std::int64_t index = 0; index < total; ++index) {
    check_not_stopped("prediction");
    const std::array<std::int64_t, 3> place{
        index / (rows * columns), index / columns % rows, index % columns};
    Block current;
    for (std::size_t axis = 0; axis < 3; ++axis) {
      const auto i = static_cast<std::size_t>(place[axis]);
      current.start[axis] = axes[axis].starts[i];
      current.size[axis] = axes[axis].length;
      current.weights[axis] = axes[axis].weights(i);
    }
    const at::Tensor image = input.read({current.start, current.size}).unsqueeze(0);
    add_block(current, predict_block(image, predict, receiver.channels()), receiver);
    receiver.release_pages();
    progress.update(index + 1);
  }
  receiver.end_weighted();
  progress.finish();
}

}  // namespace triptych
