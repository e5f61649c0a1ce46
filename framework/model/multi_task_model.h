// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/config/node.h"
#include "framework/model/head.h"
#include "framework/model/sharing.h"
#include "framework/model/task_edges.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

#include <torch/nn/module.h>

namespace triptych {

/// What the model must know of a task: the key in the configuration, the head's configuration, what
/// it takes from other tasks.
struct TaskPorts {
  std::string key;
  config::Node head;
  TaskEdges edges;
};

/// Modality stems, the shared network and one head per task.
///
/// Parameter names are stable and readable: `stem_<modality>.*`, `sharing.*`, `head_<task>.*`.
/// A task that takes from another in the same round must come after it in `Config::tasks`.
class MultiTaskModel : public torch::nn::Module {
 public:
  /// `channels` gives the input channels of each modality; those that heads encode join them.
  /// Modalities with one channel count share the identity stem unless `modality_stems` asks for a
  /// 1x1x1 convolution each, to the largest of all these.
  struct Config {
    config::Node backbone;
    config::Node sharing;
    std::map<std::string, std::int64_t> channels;
    std::vector<TaskPorts> tasks;
    bool modality_stems = false;
    std::int64_t rounds = 1;
  };
  explicit MultiTaskModel(const Config& config);

  /// Predictions of the last round of `tasks`, and of all tasks that these take from, for one
  /// batch. Features are computed once per role, and anew for roles that another task's prediction
  /// replaces.
  std::map<std::string, Prediction> forward(const Batch& batch,
                                            const std::vector<std::string>& tasks);
  Prediction forward(const Batch& batch, const std::string& task);
  /// Roles that a batch needs for the prediction of `task`: those of its head and of the heads it
  /// takes from.
  std::vector<std::string> roles_read(const std::string& task) const;

  const Backbone& column() const { return sharing_->column(); }
  const Sharing& sharing() const { return *sharing_; }
  Sharing& sharing() { return *sharing_; }
  Head& head(const std::string& task);
  std::vector<std::string> tasks() const;

  /// Evaluation mode with folded columns; the model cannot be trained afterwards.
  void prepare_inference();

 private:
  friend class ModelHeadInputs;
  at::Tensor stem(const at::Tensor& image, const std::string& modality);
  /// Stem and shared network for `tasks`. A network of single slices sees a volume slice by slice
  /// along D.
  std::map<std::string, FeaturePyramid> trunk(const at::Tensor& image,
                                              const std::string& modality,
                                              const std::vector<std::string>& tasks);
  /// Channels of each modality, those that the heads encode included.
  std::map<std::string, std::int64_t> with_encoded(
      std::map<std::string, std::int64_t> channels) const;
  void create_stems(const std::map<std::string, std::int64_t>& channels,
                    bool modality_stems,
                    std::int64_t trunk_channels);
  const TaskPorts& ports(const std::string& task) const;
  /// `tasks` and all that they take from, in the order of ports_.
  std::vector<const TaskPorts*> closure(const std::vector<std::string>& tasks) const;

  std::vector<TaskPorts> ports_;
  std::int64_t rounds_;
  std::map<std::string, std::shared_ptr<torch::nn::Module>> stems_;
  std::shared_ptr<Sharing> sharing_;
  std::map<std::string, std::shared_ptr<Head>> heads_;
};

}  // namespace triptych
