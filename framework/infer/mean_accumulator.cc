// SPDX-License-Identifier: Apache-2.0
#include "framework/infer/mean_accumulator.h"

#include "framework/core/error.h"

namespace triptych {
namespace {

constexpr std::int64_t kMostPredictions = 255;

}  // namespace

MeanAccumulator::MeanAccumulator(const Index3& shape,
                                 std::int64_t channels,
                                 MemoryBudget& budget,
                                 const std::filesystem::path& scratch)
    : voxels_(shape[0] * shape[1] * shape[2]),
      sums_(std::make_unique<VolumeStore>(channels, shape, at::kFloat, budget, scratch)),
      counts_(std::make_unique<VolumeStore>(1, shape, at::kByte, budget, scratch)),
      sums_data_(static_cast<float*>(sums_->tensor().data_ptr())),
      counts_data_(static_cast<std::uint8_t*>(counts_->tensor().data_ptr())) {}

void MeanAccumulator::begin_prediction() {
  ++predictions_;
  TRIPTYCH_ASSERT(predictions_ <= kMostPredictions);
}

void MeanAccumulator::add(std::span<const std::int64_t> voxels, const float* values) {
  const std::int64_t channels = sums_->channels();
  for (const std::int64_t voxel : voxels) {
    for (std::int64_t c = 0; c < channels; ++c) sums_data_[c * voxels_ + voxel] += *values++;
    ++counts_data_[voxel];
  }
}

void MeanAccumulator::add_weighted(std::int64_t channel,
                                   std::int64_t first,
                                   std::span<const float> values,
                                   float row_weight,
                                   const float* weights) {
  float* sums = sums_data_ + channel * voxels_ + first;
  for (std::size_t i = 0; i < values.size(); ++i) sums[i] += values[i] * row_weight * weights[i];
}

void MeanAccumulator::end_weighted() {
  const auto count = [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t v = begin; v < end; ++v) ++counts_data_[v];
  };
  for_voxel_blocks(voxels_, count, [&] { release_pages(); });
}

void MeanAccumulator::release_pages() const {
  sums_->release_pages();
  counts_->release_pages();
}

std::unique_ptr<VolumeStore> MeanAccumulator::finish() {
  const auto divide = [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t c = 0; c < sums_->channels(); ++c) {
      for (std::int64_t v = begin; v < end; ++v) {
        if (counts_data_[v] > 1) sums_data_[c * voxels_ + v] /= static_cast<float>(counts_data_[v]);
      }
    }
  };
  for_voxel_blocks(voxels_, divide, [&] { release_pages(); });
  counts_.reset();
  return std::move(sums_);
}

}  // namespace triptych
