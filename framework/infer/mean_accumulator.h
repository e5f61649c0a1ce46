// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/data/volume_store.h"
#include "framework/infer/volume_accumulator.h"

#include <filesystem>
#include <memory>

namespace triptych {

/// Mean of the values (intensities, displacements in mm) that a volume's voxels get from the plane
/// sets that saw them, or the weighted sum of blocks. Sums are float32 and every voxel's come in
/// the order of the predictions, so the result depends on neither threads nor the place of the
/// store. A voxel that nothing saw is 0. Memory per voxel: 4 C + 1 bytes.
class MeanAccumulator final : public VolumeAccumulator {
 public:
  MeanAccumulator(const Index3& shape,
                  std::int64_t channels,
                  MemoryBudget& budget,
                  const std::filesystem::path& scratch);

  const Index3& shape() const override { return sums_->shape(); }
  std::int64_t channels() const override { return sums_->channels(); }
  void begin_prediction() override;
  void add(std::span<const std::int64_t> voxels, const float* values) override;
  void add_weighted(std::int64_t channel,
                    std::int64_t first,
                    std::span<const float> values,
                    float row_weight,
                    const float* weights) override;
  void end_weighted() override;
  void release_pages() const override;

  /// [C, D, H, W] float32. The accumulator becomes the output, so this is the last call.
  std::unique_ptr<VolumeStore> finish();

 private:
  std::int64_t voxels_;
  std::int64_t predictions_ = 0;
  std::unique_ptr<VolumeStore> sums_, counts_;
  float* sums_data_;
  std::uint8_t* counts_data_;
};

}  // namespace triptych
