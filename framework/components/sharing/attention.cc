// SPDX-License-Identifier: Apache-2.0
#include "framework/core/nn.h"
#include "framework/model/sharing.h"

namespace triptych {
namespace {

/// One task's attention at one stage: a mask in (0, 1) for every channel and voxel of the shared
/// features, seen beside what the task attended to at the stage before.
class AttentionGate final : public torch::nn::Module {
 public:
  AttentionGate(std::int64_t shared, std::int64_t before)
      : reduce_(register_module(
            "reduce", torch::nn::Conv3d(torch::nn::Conv3dOptions(shared + before, shared, 1)))),
        mask_(register_module("mask",
                              torch::nn::Conv3d(torch::nn::Conv3dOptions(shared, shared, 1)))) {}

  /// shared [N, C, D, H, W]; before of any size, undefined at the first stage.
  at::Tensor forward(const at::Tensor& shared, const at::Tensor& before) {
    at::Tensor seen = shared;
    if (before.defined()) seen = torch::cat({shared, fitted(before, shared)}, 1);
    return shared * torch::sigmoid(mask_(torch::relu(reduce_(seen))));
  }

 private:
  static at::Tensor fitted(const at::Tensor& before, const at::Tensor& shared) {
    const at::IntArrayRef size = shared.sizes().slice(2);
    if (before.size(4) > shared.size(4) || before.size(2) > shared.size(2))
      return torch::adaptive_avg_pool3d(before, size);
    return torch::upsample_nearest3d(before, size);
  }

  torch::nn::Conv3d reduce_, mask_;
};

/// A shared trunk with soft attention of every task (Liu, Johns and Davison, End-to-end multi-task
/// learning with attention, MTAN, 2019): after each stage a task takes its part of the shared
/// features through a mask. The paper's convolution behind every mask is left out.
class AttentionSharing final : public Sharing {
 public:
  struct Config {
    void visit(auto&) {}
  };

  AttentionSharing(const Config&,
                   const std::vector<std::string>& tasks,
                   const BackboneFactory& make_backbone)
      : column_(register_module("column", make_backbone())) {
    for (const std::string& task : tasks) {
      std::int64_t before = 0;
      for (const StageSpec& stage : column().stages()) {
        gates_[task].push_back(
            register_module("attention_" + task + "_" + stage.name,
                            std::make_shared<AttentionGate>(stage.channels, before)));
        before = stage.channels;
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
        own = gates_.at(task)[stage]->forward(activations.current, own);
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
  std::shared_ptr<Backbone> column_;
  std::map<std::string, std::vector<std::shared_ptr<AttentionGate>>> gates_;  ///< by task, by stage
};

}  // namespace
TRIPTYCH_REGISTER_SHARING("attention", AttentionSharing)
}  // namespace triptych
