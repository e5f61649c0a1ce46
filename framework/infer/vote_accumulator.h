// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/data/volume_store.h"
#include "framework/infer/volume_accumulator.h"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include <ATen/core/Tensor.h>

namespace triptych {

/// A volume's fused segmentation. Stores are as large as the input grid.
struct FusedVolume {
  std::unique_ptr<VolumeStore> labels;  ///< [1, D, H, W] uint8 class indices
  std::unique_ptr<VolumeStore>
      probabilities;  ///< [K, D, H, W] float16, soft mean over the predictions that saw the voxel
  std::unique_ptr<VolumeStore>
      votes;  ///< [K, D, H, W] uint8 count of plane sets; only when asked for
};

/// What to keep besides the labels.
struct FusionOutputs {
  bool probabilities = false;
  bool votes = false;  ///< needed for majority fusion and for disagreement
};

/// Sums the class probabilities and votes that a volume's voxels get from several predictions
/// (plane sets).
///
/// Soft fusion: mean of the class probabilities over the plane sets that saw the voxel, then
/// argmax. Majority: the class with most plane sets' argmax. Ties, in both, go to the class with
/// the higher mean probability, then to the lower class index. A voxel that nothing saw has
/// probability zero everywhere and class 0.
///
/// Representation: probabilities are sums of integers, round(p * scale) in 16 bits with scale =
/// 65000 / max_predictions. A sum of integers is exact, so the result depends neither on the order
/// of the predictions nor on threads nor on where the store lies, and the mean is off by at most
/// max_predictions / 130000 (7e-5 for nine sets) where a float16 sum would lose up to 4e-3. Memory
/// per voxel: 2 K + 1 bytes, and K more for votes.
class VoteAccumulator final : public VolumeAccumulator {
 public:
  struct Config {
    Index3 shape{1, 1, 1};
    std::int64_t classes = 2;
    std::int64_t max_predictions = 1;
    bool votes = false;
  };
  VoteAccumulator(const Config& config, MemoryBudget& budget, std::filesystem::path scratch);

  const Index3& shape() const override { return config_.shape; }
  std::int64_t channels() const override { return config_.classes; }
  double scale() const { return scale_; }
  /// There must not have been `max_predictions` already.
  void begin_prediction() override;
  void add(std::span<const std::int64_t> voxels, const float* probabilities) override;
  void add_weighted(std::int64_t label,
                    std::int64_t first,
                    std::span<const float> probabilities,
                    float row_weight,
                    const float* weights) override;
  /// The vote of such a prediction is the argmax of the sums.
  void end_weighted() override;
  void release_pages() const override;

  /// The sums themselves; class k of a voxel is k * voxels() further on.
  std::uint16_t* sums() { return sums_data_; }
  std::uint8_t* counts() { return counts_data_; }
  std::uint8_t* votes() { return votes_data_; }  ///< nullptr when votes are not kept
  std::int64_t voxels() const { return config_.shape[0] * config_.shape[1] * config_.shape[2]; }

  /// [1, D, H, W] uint8 by "soft" or "majority"; usage error for majority without votes. Nothing is
  /// consumed.
  std::unique_ptr<VolumeStore> labels(const std::string& fusion) const;
  /// Labels and what was asked for. The accumulators become the outputs, so this is the last call.
  FusedVolume finish(const std::string& fusion, const FusionOutputs& outputs);

 private:
  void sums_to_probabilities();

  Config config_;
  double scale_;
  std::int64_t predictions_ = 0;
  MemoryBudget& budget_;
  std::filesystem::path scratch_;
  std::unique_ptr<VolumeStore> sums_;  ///< float16 by name; holds 16-bit integers until finish()
  std::unique_ptr<VolumeStore> counts_, votes_;
  std::uint16_t* sums_data_ = nullptr;
  std::uint8_t* counts_data_ = nullptr;
  std::uint8_t* votes_data_ = nullptr;
};

/// Shannon entropy of probabilities [K, ...] over K in nats divided by ln K, so in [0, 1]: [1, ...]
/// float32.
at::Tensor normalised_entropy(const at::Tensor& probabilities);
/// Fraction of plane sets that disagree with the winning class, from votes [K, ...] uint8: [1, ...]
/// float32 in [0, 1]; 0 where nothing voted.
at::Tensor plane_disagreement(const at::Tensor& votes);

}  // namespace triptych
