// SPDX-License-Identifier: Apache-2.0
#include "framework/infer/vote_accumulator.h"

#include "framework/core/error.h"

#include <algorithm>
#include <cmath>

#include <ATen/ATen.h>

namespace triptych {

VoteAccumulator::VoteAccumulator(const Config& config,
                                 MemoryBudget& budget,
                                 std::filesystem::path scratch)
    : config_(config), budget_(budget), scratch_(std::move(scratch)) {
  if (config.classes < 1 || config.classes > 256) {
    throw model_error(fmt::format("fusion: expected 1 to 256 classes, got {}", config.classes));
  }
  TRIPTYCH_ASSERT(config.max_predictions >= 1 && config.max_predictions <= 255);
  scale_ = std::floor(65000.0 / static_cast<double>(config.max_predictions));
  sums_ = std::make_unique<VolumeStore>(config.classes, config.shape, at::kHalf, budget, scratch_);
  counts_ = std::make_unique<VolumeStore>(1, config.shape, at::kByte, budget, scratch_);
  static_assert(sizeof(at::Half) == sizeof(std::uint16_t));
  sums_data_ = static_cast<std::uint16_t*>(sums_->tensor().data_ptr());
  counts_data_ = static_cast<std::uint8_t*>(counts_->tensor().data_ptr());
  if (config.votes) {
    votes_ =
        std::make_unique<VolumeStore>(config.classes, config.shape, at::kByte, budget, scratch_);
    votes_data_ = static_cast<std::uint8_t*>(votes_->tensor().data_ptr());
  }
}

void VoteAccumulator::begin_prediction() {
  TRIPTYCH_ASSERT(predictions_ < config_.max_predictions);
  ++predictions_;
}

void VoteAccumulator::add(std::span<const std::int64_t> voxels, const float* probabilities) {
  const std::int64_t classes = config_.classes, total = this->voxels();
  const auto scale = static_cast<float>(scale_);
  for (const std::int64_t voxel : voxels) {
    std::uint16_t* sums = sums_data_ + voxel;
    for (std::int64_t k = 0; k < classes; ++k) {
      const float p = std::clamp(probabilities[k], 0.0F, 1.0F);
      sums[k * total] = static_cast<std::uint16_t>(sums[k * total] +
                                                   static_cast<std::uint16_t>(p * scale + 0.5F));
    }
    ++counts_data_[voxel];
    if (votes_)
      ++votes_data_[(std::max_element(probabilities, probabilities + classes) - probabilities) *
                        total +
                    voxel];
    probabilities += classes;
  }
}

void VoteAccumulator::add_weighted(std::int64_t label,
                                   std::int64_t first,
                                   std::span<const float> probabilities,
                                   float row_weight,
                                   const float* weights) {
  const float scaled_weight = static_cast<float>(scale_) * row_weight;
  std::uint16_t* sums = sums_data_ + label * voxels() + first;
  for (std::size_t i = 0; i < probabilities.size(); ++i) {
    const float value = std::clamp(probabilities[i], 0.0F, 1.0F) * scaled_weight * weights[i];
    sums[i] = static_cast<std::uint16_t>(sums[i] + static_cast<std::uint16_t>(value + 0.5F));
  }
}

void VoteAccumulator::end_weighted() {
  const std::int64_t total = voxels();
  const auto vote = [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t v = begin; v < end; ++v) {
      ++counts_data_[v];
      if (!votes_) continue;
      std::int64_t best = 0;
      for (std::int64_t k = 1; k < config_.classes; ++k) {
        if (sums_data_[k * total + v] > sums_data_[best * total + v]) best = k;
      }
      ++votes_data_[best * total + v];
    }
  };
  for_voxel_blocks(total, vote, [&] { release_pages(); });
}

void VoteAccumulator::release_pages() const {
  sums_->release_pages();
  counts_->release_pages();
  if (votes_) votes_->release_pages();
}

std::unique_ptr<VolumeStore> VoteAccumulator::labels(const std::string& fusion) const {
  const bool majority = fusion == "majority";
  if (!majority && fusion != "soft") {
    throw ConfigError("schema",
                      fmt::format("infer.fusion: expected soft or majority, got '{}'", fusion));
  }
  if (majority && !votes_) throw usage_error("majority fusion: the votes were not kept");
  auto result = std::make_unique<VolumeStore>(1, config_.shape, at::kByte, budget_, scratch_);
  auto* label = static_cast<std::uint8_t*>(result->tensor().data_ptr());
  const std::int64_t total = voxels();
  const auto winner = [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t v = begin; v < end; ++v) {
      std::int64_t best = 0;
      for (std::int64_t k = 1; k < config_.classes; ++k) {
        const int sum = sums_data_[k * total + v], best_sum = sums_data_[best * total + v];
        const int vote = majority ? votes_data_[k * total + v] : 0,
                  best_vote = majority ? votes_data_[best * total + v] : 0;
        if (vote > best_vote || (vote == best_vote && sum > best_sum)) best = k;
      }
      label[v] = static_cast<std::uint8_t>(best);
    }
  };
  for_voxel_blocks(total, winner, [&] {
    release_pages();
    result->release_pages();
  });
  return result;
}

void VoteAccumulator::sums_to_probabilities() {
  const std::int64_t total = voxels();
  auto* half = static_cast<at::Half*>(sums_->tensor().data_ptr());
  const auto convert = [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t k = 0; k < config_.classes; ++k) {
      for (std::int64_t v = begin; v < end; ++v) {
        const double count = counts_data_[v];
        const double sum = sums_data_[k * total + v];
        half[k * total + v] =
            static_cast<at::Half>(static_cast<float>(count == 0.0 ? 0.0 : sum / (scale_ * count)));
      }
    }
  };
  for_voxel_blocks(total, convert, [&] { release_pages(); });
}

FusedVolume VoteAccumulator::finish(const std::string& fusion, const FusionOutputs& outputs) {
  FusedVolume result;
  result.labels = labels(fusion);
  if (outputs.votes) {
    if (!votes_) throw usage_error("plane disagreement: the votes were not kept");
    result.votes = std::move(votes_);
  }
  if (outputs.probabilities) {
    sums_to_probabilities();
    result.probabilities = std::move(sums_);
  }
  return result;
}

at::Tensor normalised_entropy(const at::Tensor& probabilities) {
  const std::int64_t classes = probabilities.size(0);
  at::Tensor sum = at::zeros(probabilities[0].sizes(), at::kFloat);
  if (classes == 1) return sum.unsqueeze(0);
  for (std::int64_t k = 0; k < classes; ++k) {
    const at::Tensor p = probabilities[k].to(at::kFloat);
    sum -= at::xlogy(p, p);  // 0 log 0 = 0
  }
  return sum.div_(std::log(static_cast<double>(classes))).clamp_(0.0, 1.0).unsqueeze(0);
}

at::Tensor plane_disagreement(const at::Tensor& votes) {
  const at::Tensor total = votes.sum(0, true, at::kFloat);
  const at::Tensor winner = std::get<0>(votes.max(0, true)).to(at::kFloat);
  return (total - winner) / total.clamp_min(1.0);
}

}  // namespace triptych
