// SPDX-License-Identifier: Apache-2.0
#include "framework/model/multi_task_model.h"

#include "framework/core/error.h"
#include "framework/core/nn.h"
#include "framework/core/place.h"
#include "framework/core/shape.h"
#include "framework/core/suggest.h"
#include "framework/ops/warp.h"

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

/// What everything that reads a prediction relies on.
void check_prediction(const Prediction& prediction, std::int64_t channels) {
  const at::Tensor& value = prediction.value;
  if (prediction.kind == Prediction::Kind::kPoints)
    check_shape(value, {kAny, channels, 3}, "prediction");
  else
    check_shape(value, {kAny, channels, kAny, kAny, kAny}, "prediction");
  if (value.is_floating_point()) return;
  throw shape_error(fmt::format("prediction: expected floating-point values, got {}",
                                c10::toString(value.scalar_type())));
}

/// What heads rely on: of every task the levels that the backbone declares for `image`.
void check_pyramids(const std::map<std::string, FeaturePyramid>& pyramids,
                    const std::vector<std::string>& tasks,
                    const PyramidSpec& spec,
                    const at::Tensor& image) {
  for (const std::string& task : tasks) {
    const auto found = pyramids.find(task);
    const std::size_t levels = found == pyramids.end() ? 0 : found->second.levels.size();
    if (levels != static_cast<std::size_t>(spec.size())) {
      throw shape_error(fmt::format(
          "features of task '{}': expected {} levels, got {}", task, spec.size(), levels));
    }
    for (std::size_t i = 0; i < levels; ++i) {
      const LevelSpec& level = spec.levels[i];
      check_shape(found->second.levels[i],
                  {image.size(0),
                   level.channels,
                   kAny,
                   image.size(3) / level.stride[1],
                   image.size(4) / level.stride[2]},
                  fmt::format("features of task '{}' at level {}", task, i));
    }
  }
}

}  // namespace

/// What the heads of one forward pass share.
class ModelHeadInputs final : public HeadInputs {
 public:
  ModelHeadInputs(MultiTaskModel& model, const Batch& batch, std::vector<const TaskPorts*> running)
      : model_(model), batch_(batch), running_(std::move(running)) {}

  void enter(const TaskPorts& ports) { ports_ = &ports; }
  /// What was predicted so far becomes the round before.
  void next_round() {
    before_ = std::exchange(predictions_, {});
    for (const TaskPorts* ports : running_) {
      for (const auto& [role, source] : ports->edges.inputs) pyramids_[role].erase(ports->key);
      for (const auto& [role, source] : ports->edges.feedback) pyramids_[role].erase(ports->key);
    }
  }
  std::map<std::string, Prediction>& predictions() { return predictions_; }

  const FeaturePyramid& features(const std::string& role) override {
    auto& pyramids = pyramids_[role];
    if (const auto found = pyramids.find(ports_->key); found != pyramids.end())
      return found->second;
    const BatchEntry& entry = batch_.at(role);
    if (entry.kind != EntryKind::kIntensity) {
      throw model_error(fmt::format(
          "features of role '{}' asked for, but it holds a {}", role, kind_text(entry.kind)));
    }
    if (const Prediction* source = made_by_a_task(role)) {
      const at::Tensor image = image_of(role, *source);
      pyramids.merge(model_.trunk(image, entry.modality, {ports_->key}));
    } else {
      pyramids.merge(model_.trunk(entry.data, entry.modality, waiting_readers(role)));
    }
    return pyramids.at(ports_->key);
  }

  FeaturePyramid encode(const at::Tensor& image, const std::string& modality) override {
    return model_.trunk(image, modality, {ports_->key}).at(ports_->key);
  }

  const Batch& batch() const override { return batch_; }

  const Prediction& output_of(const std::string& task) override {
    const bool declared = contains(ports_->edges.reads_from, task);
    const auto found = predictions_.find(task);
    if (!declared || found == predictions_.end()) {
      throw model_error(fmt::format(
          "output of task '{}' asked for, which {}",
          task,
          declared ? "was not predicted before it" : "its configuration does not declare"));
    }
    if (ports_->edges.pass_gradients) return found->second;
    return constants_[task] = detached(found->second);
  }

 private:
  static Prediction detached(Prediction prediction) {
    prediction.value = prediction.value.detach();
    for (auto& [name, tensor] : prediction.extra) tensor = tensor.detach();
    return prediction;
  }

  /// The prediction that takes the place of a role's image for the task at work; null = none does.
  const Prediction* made_by_a_task(const std::string& role) const {
    const auto found_in = [](const std::map<std::string, Prediction>& predictions,
                             const std::map<std::string, std::string>& edges,
                             const std::string& key) -> const Prediction* {
      const auto edge = edges.find(key);
      if (edge == edges.end()) return nullptr;
      const auto prediction = predictions.find(edge->second);
      return prediction == predictions.end() ? nullptr : &prediction->second;
    };
    if (const Prediction* fed = found_in(before_, ports_->edges.feedback, role)) return fed;
    return found_in(predictions_, ports_->edges.inputs, role);
  }

  /// A prediction as the image of a role.
  at::Tensor image_of(const std::string& role, const Prediction& source) const {
    const BatchEntry& entry = batch_.at(role);
    at::Tensor image = source.value;
    if (source.kind == Prediction::Kind::kLogits) image = torch::softmax(image, 1);
    if (source.kind == Prediction::Kind::kDisplacement) image = warped(role, source);
    if (image.dim() != 5 || image.size(1) != entry.data.size(1)) {
      throw model_error(
          fmt::format("role '{}' expects an image of {} channels, but the "
                      "task it is taken from predicts {}",
                      role,
                      entry.data.size(1),
                      image.dim() != 5 ? "none" : std::to_string(image.size(1))));
    }
    return ports_->edges.pass_gradients ? image : image.detach();
  }

  /// The role's image seen through a displacement on the grid of the role "fixed".
  at::Tensor warped(const std::string& role, const Prediction& source) const {
    const BatchEntry& moving = batch_.at(role);
    const BatchEntry& fixed = batch_.at("fixed");
    std::vector<at::Tensor> items;
    for (std::int64_t i = 0; i < moving.data.size(0); ++i) {
      const auto item = static_cast<std::size_t>(i);
      items.push_back(warp(moving.data.narrow(0, i, 1),
                           moving.geometry[item],
                           source.value.narrow(0, i, 1),
                           fixed.geometry[item]));
    }
    return torch::cat(items);
  }

  /// The task at work and the running tasks whose heads read `role`, as far as they have no pyramid
  /// of it yet.
  std::vector<std::string> waiting_readers(const std::string& role) const {
    std::vector<std::string> readers;
    for (const TaskPorts* ports : running_) {
      const bool own = ports->edges.inputs.contains(role);
      const bool reads =
          ports == ports_ || (!own && contains(model_.heads_.at(ports->key)->roles(), role));
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
  std::map<std::string, Prediction> before_;     ///< of the round before
  std::map<std::string, Prediction> constants_;  ///< detached for tasks that pass no gradients
};

MultiTaskModel::MultiTaskModel(const Config& config)
    : ports_(config.tasks), rounds_(config.rounds) {
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

std::map<std::string, FeaturePyramid> MultiTaskModel::trunk(const at::Tensor& image,
                                                            const std::string& modality,
                                                            const std::vector<std::string>& tasks) {
  const at::Tensor entered = stem(image, modality);
  const auto shared = [&](const at::Tensor& input) {
    return at_place("sharing", [&] {
      auto pyramids = sharing_->forward(input, tasks);
      check_pyramids(pyramids, tasks, column().levels(), input);
      return pyramids;
    });
  };
  const bool slice_by_slice = column().slab() == 1 && entered.size(2) > 1;
  if (!slice_by_slice) return shared(entered);
  const std::int64_t items = entered.size(0), depth = entered.size(2);
  const at::Tensor slices = entered.transpose(1, 2).flatten(0, 1).unsqueeze(2);
  auto pyramids = shared(slices);
  for (auto& [task, pyramid] : pyramids) {
    for (at::Tensor& level : pyramid.levels)
      level = level.squeeze(2).unflatten(0, {items, depth}).transpose(1, 2).contiguous();
  }
  return pyramids;
}

std::map<std::string, Prediction> MultiTaskModel::forward(const Batch& batch,
                                                          const std::vector<std::string>& tasks) {
  const std::vector<const TaskPorts*> running = closure(tasks);
  ModelHeadInputs inputs(*this, batch, running);
  for (std::int64_t round = 0; round < rounds_; ++round) {
    if (round > 0) inputs.next_round();
    for (const TaskPorts* ports : running) {
      inputs.enter(*ports);
      Head& head = *heads_.at(ports->key);
      inputs.predictions()[ports->key] =
          at_place(fmt::format("head of task '{}'", ports->key), [&] {
            Prediction prediction = head.forward(inputs);
            check_prediction(prediction, head.out_channels());
            return prediction;
          });
    }
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
    const TaskEdges& edges = ports(reached[i]).edges;
    for (const std::string& source : rounds_ > 1 ? edges.all_sources() : edges.sources()) {
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
