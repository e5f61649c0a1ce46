// SPDX-License-Identifier: Apache-2.0
#include "framework/model/multi_task_model.h"

#include <algorithm>

#include <torch/nn/modules/conv.h>

#include "framework/core/error.h"
#include "framework/core/nn.h"
#include "framework/core/suggest.h"

namespace triptych {
namespace {

constexpr const char* kAnyModality = "any";

/// One channel count for the trunk: that of the modalities where they agree; different ones need stems.
std::int64_t trunk_channels(const MultiTaskModel::Config& config) {
  std::int64_t channels = 0;
  for (const auto& [modality, count] : config.channels) {
    if (channels != 0 && channels != count && !config.modality_stems) {
      throw model_error(fmt::format("modality '{}' has {} channels, others have {}", modality, count, channels),
                        "turn on modality_stems, or read the images as grey values");
    }
    channels = std::max(channels, count);
  }
  return std::max<std::int64_t>(channels, 1);
}

}  // namespace

/// What the heads of one forward pass share.
class ModelHeadInputs final : public HeadInputs {
 public:
  ModelHeadInputs(MultiTaskModel& model, const Batch& batch) : model_(model), batch_(batch) {}

  void enter(const TaskPorts& ports) { ports_ = &ports; }
  std::map<std::string, Prediction>& predictions() { return predictions_; }

  const FeaturePyramid& features(const std::string& role) override {
    const std::string owner = model_.sharing_->same_for_all_tasks() ? "" : ports_->key;
    const auto key = std::pair(role, owner);
    if (const auto found = pyramids_.find(key); found != pyramids_.end()) return found->second;
    const BatchEntry& entry = batch_.at(role);
    if (entry.kind != EntryKind::kIntensity) {
      throw model_error(fmt::format("task '{}': features of role '{}' asked for, but it holds a {}",
                                    ports_->key,
                                    role,
                                    kind_text(entry.kind)));
    }
    return pyramids_.emplace(key, encode(entry.data, entry.modality)).first->second;
  }

  FeaturePyramid encode(const at::Tensor& image, const std::string& modality) override {
    return model_.sharing_->forward(model_.stem(image, modality), ports_->key);
  }

  const Batch& batch() const override { return batch_; }

  const Prediction& output_of(const std::string& task) override {
    const bool declared = std::find(ports_->reads_from.begin(), ports_->reads_from.end(), task) != ports_->reads_from.end();
    const auto found = predictions_.find(task);
    if (!declared || found == predictions_.end()) {
      throw model_error(fmt::format("task '{}' reads the output of '{}', which {}",
                                    ports_->key,
                                    task,
                                    declared ? "was not predicted before it" : "its configuration does not declare"));
    }
    return found->second;
  }

 private:
  MultiTaskModel& model_;
  const Batch& batch_;
  const TaskPorts* ports_ = nullptr;
  std::map<std::pair<std::string, std::string>, FeaturePyramid> pyramids_;
  std::map<std::string, Prediction> predictions_;
};

MultiTaskModel::MultiTaskModel(const Config& config) : ports_(config.tasks) {
  const BackboneInput input{trunk_channels(config)};
  const BackboneFactory make_backbone = [&] {
    return BackboneRegistry::instance().create(config.backbone, input);
  };
  if (config.modality_stems) {
    for (const auto& [modality, channels] : config.channels) {
      const std::string name = modality.empty() ? kAnyModality : modality;
      auto convolution = std::make_shared<torch::nn::Conv3dImpl>(
          torch::nn::Conv3dOptions(channels, input.channels, 1));
      stems_[name] = register_module("stem_" + name, convolution);
    }
  }
  std::vector<std::string> keys;
  for (const TaskPorts& ports : ports_) keys.push_back(ports.key);
  sharing_ = register_module("sharing", SharingRegistry::instance().create(config.sharing, keys, make_backbone));
  const PyramidSpec pyramid = sharing_->column().levels();
  for (const TaskPorts& ports : ports_) {
    heads_[ports.key] = register_module("head_" + ports.key, HeadRegistry::instance().create(ports.head, pyramid));
  }
}

at::Tensor MultiTaskModel::stem(const at::Tensor& image, const std::string& modality) {
  if (stems_.empty()) return image;
  const auto found = stems_.find(modality.empty() ? kAnyModality : modality);
  if (found != stems_.end()) return std::dynamic_pointer_cast<torch::nn::Conv3dImpl>(found->second)->forward(image);
  std::vector<std::string> known;
  for (const auto& [name, module] : stems_) known.push_back(name);
  throw model_error(fmt::format("modality '{}' has no stem; the model knows: {}", modality, join(known)));
}

std::map<std::string, Prediction> MultiTaskModel::forward(const Batch& batch, const std::vector<std::string>& tasks) {
  ModelHeadInputs inputs(*this, batch);
  for (const TaskPorts& ports : ports_) {
    if (std::find(tasks.begin(), tasks.end(), ports.key) == tasks.end()) continue;
    inputs.enter(ports);
    inputs.predictions()[ports.key] = heads_.at(ports.key)->forward(inputs);
  }
  return std::move(inputs.predictions());
}

Prediction MultiTaskModel::forward(const Batch& batch, const std::string& task) {
  head(task);  // names the known tasks when this one is none
  return forward(batch, std::vector<std::string>{task}).at(task);
}

Head& MultiTaskModel::head(const std::string& task) {
  const auto found = heads_.find(task);
  if (found == heads_.end()) {
    throw model_error(fmt::format("the model has no task '{}'; it has: {}", task, join(tasks())));
  }
  return *found->second;
}

std::vector<std::string> MultiTaskModel::tasks() const {
  std::vector<std::string> keys;
  for (const TaskPorts& ports : ports_) keys.push_back(ports.key);
  return keys;
}

void MultiTaskModel::prepare_inference() {
  eval();
  sharing_->fold();
}

}  // namespace triptych
