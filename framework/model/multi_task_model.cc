// SPDX-License-Identifier: Apache-2.0
#include "framework/model/multi_task_model.h"

#include "framework/core/error.h"
#include "framework/core/nn.h"
#include "framework/core/suggest.h"

#include <algorithm>

#include <torch/nn/modules/conv.h>

namespace triptych {
namespace {

constexpr const char* kAnyModality = "any";

bool contains(const std::vector<std::string>& words, const std::string& word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

/// Channels that enter the trunk: the largest count of the modalities.
std::int64_t trunk_channels_of(const std::map<std::string, std::int64_t>& channels) {
  std::int64_t most = 1;
  for (const auto& [modality, count] : channels) most = std::max(most, count);
  return most;
}

}  // namespace

/// What the heads of one forward pass share.
class ModelHeadInputs final : public HeadInputs {
 public:
  ModelHeadInputs(MultiTaskModel& model, const Batch& batch, std::vector<const TaskPorts*> running)
      : model_(model), batch_(batch), running_(std::move(running)) {}

  void enter(const TaskPorts& ports) { ports_ = &ports; }
  std::map<std::string, Prediction>& predictions() { return predictions_; }

  const FeaturePyramid& features(const std::string& role) override {
    auto& pyramids = pyramids_[role];
    if (const auto found = pyramids.find(ports_->key); found != pyramids.end())
      return found->second;
    const BatchEntry& entry = batch_.at(role);
    if (entry.kind != EntryKind::kIntensity) {
      throw model_error(fmt::format("task '{}': features of role '{}' asked for, but it holds a {}",
                                    ports_->key,
                                    role,
                                    kind_text(entry.kind)));
    }
    pyramids.merge(
        model_.sharing_->forward(model_.stem(entry.data, entry.modality), waiting_readers(role)));
    return pyramids.at(ports_->key);
  }

  FeaturePyramid encode(const at::Tensor& image, const std::string& modality) override {
    return model_.sharing_->forward(model_.stem(image, modality), {ports_->key}).at(ports_->key);
  }

  const Batch& batch() const override { return batch_; }

  const Prediction& output_of(const std::string& task) override {
    const bool declared = contains(ports_->reads_from, task);
    const auto found = predictions_.find(task);
    if (!declared || found == predictions_.end()) {
      throw model_error(fmt::format(
          "task '{}' reads the output of '{}', which {}",
          ports_->key,
          task,
          declared ? "was not predicted before it" : "its configuration does not declare"));
    }
    return found->second;
  }

 private:
  /// The task at work and the running tasks whose heads read `role`, as far as they have no pyramid
  /// of it yet.
  std::vector<std::string> waiting_readers(const std::string& role) const {
    std::vector<std::string> readers;
    for (const TaskPorts* ports : running_) {
      const bool reads = ports == ports_ || contains(model_.heads_.at(ports->key)->roles(), role);
      if (reads && !pyramids_.at(role).contains(ports->key)) readers.push_back(ports->key);
    }
    return readers;
  }

  MultiTaskModel& model_;
  const Batch& batch_;
  std::vector<const TaskPorts*> running_;
  const TaskPorts* ports_ = nullptr;
  std::map<std::string, std::map<std::string, FeaturePyramid>> pyramids_;  ///< by role, by task
  std::map<std::string, Prediction> predictions_;
};

MultiTaskModel::MultiTaskModel(const Config& config) : ports_(config.tasks) {
  const auto make_sharing = [&](std::int64_t channels) {
    const BackboneFactory make_backbone = [&] {
      return BackboneRegistry::instance().create(config.backbone, BackboneInput{channels});
    };
    return SharingRegistry::instance().create(config.sharing, tasks(), make_backbone);
  };
  const std::int64_t image_channels = trunk_channels_of(config.channels);
  sharing_ = register_module("sharing", make_sharing(image_channels));
  const PyramidSpec pyramid = sharing_->column().levels();
  for (const TaskPorts& ports : ports_) {
    heads_[ports.key] =
        register_module("head_" + ports.key, HeadRegistry::instance().create(ports.head, pyramid));
  }
  // Only the heads know what they encode, and they need the network's levels to be made.
  const std::map<std::string, std::int64_t> channels = with_encoded(config.channels);
  const std::int64_t trunk_channels =
      config.modality_stems ? trunk_channels_of(channels) : image_channels;
  if (trunk_channels != image_channels)
    sharing_ = replace_module("sharing", make_sharing(trunk_channels));
  create_stems(channels, config.modality_stems, trunk_channels);
}

std::map<std::string, std::int64_t> MultiTaskModel::with_encoded(
    std::map<std::string, std::int64_t> channels) const {
  for (const auto& [task, head] : heads_) {
    for (const auto& [modality, count] : head->encodes()) {
      const auto [known, added] = channels.emplace(modality, count);
      if (added || known->second == count) continue;
      throw model_error(fmt::format(
          "the head of task '{}' encodes images of modality '{}' with {} channels, others have {}",
          task,
          modality,
          count,
          known->second));
    }
  }
  return channels;
}

void MultiTaskModel::create_stems(const std::map<std::string, std::int64_t>& channels,
                                  bool modality_stems,
                                  std::int64_t trunk_channels) {
  for (const auto& [modality, count] : channels) {
    if (!modality_stems) {
      if (count == trunk_channels) continue;
      throw model_error(
          fmt::format(
              "modality '{}' has {} channels, others have {}", modality, count, trunk_channels),
          "set stems=convolution, or read the images as grey values");
    }
    const std::string name = modality.empty() ? kAnyModality : modality;
    const auto options = torch::nn::Conv3dOptions(count, trunk_channels, 1);
    stems_[name] =
        register_module("stem_" + name, std::make_shared<torch::nn::Conv3dImpl>(options));
  }
}

at::Tensor MultiTaskModel::stem(const at::Tensor& image, const std::string& modality) {
  if (stems_.empty()) return image;
  const auto found = stems_.find(modality.empty() ? kAnyModality : modality);
  if (found != stems_.end())
    return std::dynamic_pointer_cast<torch::nn::Conv3dImpl>(found->second)->forward(image);
  std::vector<std::string> known;
  for (const auto& [name, module] : stems_) known.push_back(name);
  throw model_error(
      fmt::format("modality '{}' has no stem; the model knows: {}", modality, join(known)));
}

std::map<std::string, Prediction> MultiTaskModel::forward(const Batch& batch,
                                                          const std::vector<std::string>& tasks) {
  const std::vector<const TaskPorts*> running = closure(tasks);
  ModelHeadInputs inputs(*this, batch, running);
  for (const TaskPorts* ports : running) {
    inputs.enter(*ports);
    inputs.predictions()[ports->key] = heads_.at(ports->key)->forward(inputs);
  }
  return std::move(inputs.predictions());
}

Prediction MultiTaskModel::forward(const Batch& batch, const std::string& task) {
  return forward(batch, std::vector<std::string>{task}).at(task);
}

std::vector<std::string> MultiTaskModel::roles_read(const std::string& task) const {
  std::vector<std::string> roles;
  for (const TaskPorts* ports : closure({task})) {
    for (const std::string& role : heads_.at(ports->key)->roles()) {
      if (!contains(roles, role)) roles.push_back(role);
    }
  }
  return roles;
}

const TaskPorts& MultiTaskModel::ports(const std::string& task) const {
  const auto found = std::find_if(
      ports_.begin(), ports_.end(), [&](const TaskPorts& ports) { return ports.key == task; });
  if (found != ports_.end()) return *found;
  throw model_error(fmt::format("the model has no task '{}'; it has: {}", task, join(tasks())));
}

std::vector<const TaskPorts*> MultiTaskModel::closure(const std::vector<std::string>& tasks) const {
  std::vector<std::string> reached;
  for (const std::string& task : tasks) reached.push_back(ports(task).key);
  for (std::size_t i = 0; i < reached.size(); ++i) {
    for (const std::string& source : ports(reached[i]).reads_from) {
      if (!contains(reached, source)) reached.push_back(source);
    }
  }
  std::vector<const TaskPorts*> ordered;
  for (const TaskPorts& ports : ports_) {
    if (contains(reached, ports.key)) ordered.push_back(&ports);
  }
  return ordered;
}

Head& MultiTaskModel::head(const std::string& task) { return *heads_.at(ports(task).key); }

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
