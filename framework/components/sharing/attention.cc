// SPDX-License-Identifier: Apache-2.0
#include "framework/core/nn.h"
#include "framework/model/sharing.h"

namespace triptych {
namespace {

/// One task's attention at one stage: a mask in (0, 1) for every channel and voxel of the shared
/// features, seen beside what the task attended to at the stage before.
class AttentionGate final : public torch::nn::Module {
 public:
  /// `before`: channels of what comes from the stage before, 0 at the first one.
  AttentionGate(std::int64_t shared, std::int64_t before)
      : reduce_(register_module(
            "reduce", torch::nn::Conv3d(torch::nn::Conv3dOptions(shared + before, shared, 1)))),
        mask_(register_module("mask",
                              torch::nn::Conv3d(torch::nn::Conv3dOptions(shared, shared, 1)))) {}

  /// shared [N, C, D, H, W]; before [N, B, D, H, W], undefined at the first stage.
  at::Tensor forward(const at::Tensor& shared, const at::Tensor& before) {
    const at::Tensor seen = before.defined() ? torch::cat({shared, before}, 1) : shared;
    return shared * torch::sigmoid(mask_(torch::relu(reduce_(seen))));
  }

 private:
  torch::nn::Conv3d reduce_, mask_;
};

/// Means over blocks, or copies of voxels, on the grid of `other`.
at::Tensor fitted(const at::Tensor& features, const at::Tensor& other) {
  const at::IntArrayRef size = other.sizes().slice(2);
  if (features.size(4) > other.size(4) || features.size(2) > other.size(2))
    return torch::adaptive_avg_pool3d(features, size);
  return torch::upsample_nearest3d(features, size);
}

/// A shared trunk with soft attention of every task (Liu, Johns and Davison, End-to-end multi-task
/// learning with attention, MTAN, 2019): after each stage a task takes its part of the shared
/// features through a mask, and a convolution that all tasks share carries it on to the next mask.
///
/// Unlike in the paper there is no normalisation behind that convolution, and on the way down it
/// follows the pooling, where it costs a quarter.
class AttentionSharing final : public Sharing {
 public:
  struct Config {
    void visit(auto&) {}
  };

  AttentionSharing(const Config&,
                   const std::vector<std::string>& tasks,
                   const BackboneFactory& make_backbone)
      : column_(register_module("column", make_backbone())) {
    const std::vector<StageSpec>& stages = column().stages();
    const std::int64_t depth = column().slab() == 0 ? 3 : 1;
    for (std::size_t stage = 1; stage < stages.size(); ++stage) {
      const auto options = torch::nn::Conv3dOptions(
                               stages[stage - 1].channels, stages[stage].channels, {depth, 3, 3})
                               .padding({depth / 2, 1, 1});
      carriers_.push_back(
          register_module("carrier_" + stages[stage].name, torch::nn::Conv3d(options)));
    }
    for (const std::string& task : tasks) {
      for (std::size_t stage = 0; stage < stages.size(); ++stage) {
        const std::int64_t channels = stages[stage].channels;
        gates_[task].push_back(
            register_module("attention_" + task + "_" + stages[stage].name,
                            std::make_shared<AttentionGate>(channels, stage == 0 ? 0 : channels)));
      }
    }
  }

  std::map<std::string, FeaturePyramid> forward(const at::Tensor& image,
                                                const std::vector<std::string>& tasks) override {
    column().check_input(image);
    std::map<std::string, FeaturePyramid> pyramids;
    std::map<std::string, at::Tensor> attended;
    for (const std::string& task : tasks)
      pyramids[task].levels.resize(static_cast<std::size_t>(column().levels().size()));
    Activations activations{image, {}};
    for (std::size_t stage = 0; stage < column().stages().size(); ++stage) {
      column_->run_stage(stage, activations);
      const std::int64_t level = column().stages()[stage].pyramid_level;
      for (const std::string& task : tasks) {
        at::Tensor& own = attended[task];
        own = gates_.at(task)[stage]->forward(activations.current,
                                              carried(stage, own, activations.current));
        if (level >= 0) pyramids[task].levels[static_cast<std::size_t>(level)] = own;
      }
    }
    return pyramids;
  }

  const Backbone& column() const override { return *column_; }
  std::int64_t column_passes(std::int64_t tasks) const override { return tasks; }
  void fold() override {
    if (auto folded = column_->folded()) column_ = replace_module("column", std::move(folded));
  }

 private:
  /// What a task attended to at the stage before, on the grid of this one; undefined at the first.
  at::Tensor carried(std::size_t stage, const at::Tensor& before, const at::Tensor& shared) {
    if (stage == 0) return {};
    return torch::relu(carriers_[stage - 1](fitted(before, shared)));
  }

  std::shared_ptr<Backbone> column_;
  std::vector<torch::nn::Conv3d> carriers_;  ///< to every stage but the first, for all tasks
  std::map<std::string, std::vector<std::shared_ptr<AttentionGate>>> gates_;  ///< by task, by stage
};

}  // namespace
TRIPTYCH_REGISTER_SHARING("attention", AttentionSharing)
}  // namespace triptych
