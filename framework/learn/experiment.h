// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/config/fields.h"
#include "framework/data/dataset.h"
#include "framework/data/loader.h"
#include "framework/infer/plane_fusion.h"
#include "framework/learn/adversary.h"
#include "framework/learn/checkpoint.h"
#include "framework/learn/initialisation.h"
#include "framework/learn/optimizer.h"
#include "framework/learn/task.h"
#include "framework/learn/weighting.h"
#include "framework/model/multi_task_model.h"

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <c10/core/Device.h>

namespace triptych {

/// Keys of `tasks.<name>` that are the framework's. The other keys of the map, `name` included, are
/// the task component's.
struct TaskSetup {
  std::string dataset;
  config::Node head;
  double weight = 1.0;
  std::int64_t batch_size = 4;
  std::int64_t validation_items = 0;
  TaskEdges edges;
  std::optional<config::Node> adversary;
  SamplingConfig sampling;
  std::vector<config::Node> transforms;
  std::vector<config::Node> validation_transforms;

  void visit(auto& field) {
    field("dataset", dataset, "name of the dataset under `datasets`", config::Need::kRequired);
    field("head", head, "head of the task (group `head`)", config::Need::kRequired);
    field("weight", weight, "fixed weight of the task's loss", config::AtLeast{0.0});
    field("batch_size", batch_size, "items a step", config::AtLeast{1});
    field("validation_items",
          validation_items,
          "items of a validation, evenly spread; 0 = all",
          config::AtLeast{0});
    edges.visit(field);
    field("adversary",
          adversary,
          "network that learns to tell predictions from targets; none by default");
    field("sampling", sampling, "what a training item is and how it is drawn");
    field("transforms", transforms, "transforms of training items, in order");
    field(
        "validation_transforms", validation_transforms, "transforms of validation items, in order");
  }
};

/// One of `trainer.stages`.
struct TrainingStage {
  std::int64_t until = 0;
  std::vector<std::string> tasks;
  std::vector<std::string> frozen;

  void visit(auto& field) {
    field(
        "until", until, "step at which the stage ends; 0 = with the training", config::AtLeast{0});
    field("tasks", tasks, "tasks that learn; [] = all");
    field("frozen",
          frozen,
          "beginnings of the names of parameters that stay as they are, beside trainer.frozen");
  }
};

/// Key `study`: the place of a run in a comparison.
struct StudyConfig {
  std::string arm;
  std::string reference = "single";

  void visit(auto& field) {
    field(
        "arm",
        arm,
        "name of what is compared; runs of one arm have other seeds or train other tasks. A sweep "
        "whose runs have arms writes comparison.{md,json,html}");
    field("reference", reference, "arm that the others are compared with");
  }
};

/// Key `trainer`.
struct TrainerConfig {
  std::int64_t max_steps = 1000;
  std::int64_t validate_every = 200;
  std::int64_t checkpoint_every = 200;
  std::int64_t log_every = 20;
  std::int64_t patience = 0;
  double min_delta = 0.0;
  double clip_norm = 0.0;
  std::int64_t accumulate = 1;
  std::string precision = "float32";
  std::string monitor = "auto";
  std::int64_t overlays = 2;
  std::int64_t insight_every = 0;
  bool test = false;
  std::vector<std::string> frozen;
  std::vector<TrainingStage> stages;
  Loader::Config loader;

  void visit(auto& field) {
    field("max_steps", max_steps, "optimiser steps", config::AtLeast{1});
    field("validate_every", validate_every, "steps between validations", config::AtLeast{1});
    field("checkpoint_every", checkpoint_every, "steps between checkpoints", config::AtLeast{1});
    field("log_every", log_every, "steps between metric rows", config::AtLeast{1});
    field("patience",
          patience,
          "stop after this many steps without a better validation; 0 = never",
          config::AtLeast{0});
    field("min_delta",
          min_delta,
          "smallest change of the monitored value that counts as better",
          config::AtLeast{0.0});
    field("clip_norm",
          clip_norm,
          "largest L2 norm of the gradient; 0 = no clipping",
          config::AtLeast{0.0});
    field("accumulate",
          accumulate,
          "batches whose gradients are averaged for one step",
          config::AtLeast{1});
    field("precision",
          precision,
          "arithmetic of the forward pass",
          config::OneOf{"float32", "bfloat16"});
    field("monitor",
          monitor,
          "value that selects the best checkpoint: <task>/<metric>, loss/val, or auto = the main "
          "metric, of several tasks "
          "the mean relative change of theirs");
    field("overlays",
          overlays,
          "validation items drawn as pictures at each validation, per task",
          config::Between{0, 16});
    field("insight_every",
          insight_every,
          "steps between measurements of the tasks' gradients on the shared network, their lengths "
          "and the angles between them; 0 = never",
          config::AtLeast{0});
    field(
        "test",
        test,
        "after the last step score every sample of the split `test` with the last weights, item by "
        "item, and write test.json");
    field(
        "frozen",
        frozen,
        "beginnings of the names of parameters that stay as they are, e.g. [sharing., head_bone]");
    field("stages",
          stages,
          "what learns when, one stage after the other; after the last everything learns");
    field("loader", loader, "data loader");
  }
};

/// The whole schema of an experiment (root of the composed configuration; `hydra` is left out
/// before).
struct ExperimentConfig {
  std::int64_t seed = 0;
  std::string device = "auto";
  std::int64_t threads = 0;
  std::map<std::string, config::Node> datasets;
  std::map<std::string, config::Node> tasks;
  config::Node backbone;
  std::string stems = "none";
  config::Node sharing;
  std::int64_t rounds = 1;
  config::Node weighting;
  OptimizerConfig optimizer;
  config::Node schedule;
  TrainerConfig trainer;
  InferConfig infer;
  std::vector<InitialiseConfig> initialise;
  StudyConfig study;

  void visit(auto& field) {
    field("seed", seed, "seed of every random stream", config::AtLeast{0});
    field("device", device, "auto, cpu, cuda or cuda:<index>");
    field("threads",
          threads,
          "threads of LibTorch, ITK and own kernels; 0 = all cores",
          config::AtLeast{0});
    field("datasets", datasets, "data sets by name (group `dataset`)", config::Need::kRequired);
    field("tasks", tasks, "tasks by name (groups `task` and `head`)", config::Need::kRequired);
    field("backbone", backbone, "shared network (group `backbone`)", config::Need::kRequired);
    field("stems",
          stems,
          "what an image passes before the backbone: none, or a 1x1x1 convolution for each "
          "modality, which modalities with "
          "different numbers of channels need",
          config::OneOf{"none", "convolution"});
    field("sharing", sharing, "how tasks share it (group `sharing`)", config::Need::kRequired);
    field(
        "rounds",
        rounds,
        "times that the tasks predict one after the other from a batch, each with the round before "
        "as its `feedback`; the last one counts",
        config::AtLeast{1});
    field("weighting",
          weighting,
          "how task losses become one (group `weighting`)",
          config::Need::kRequired);
    field("optimizer", optimizer, "optimiser (group `optimizer`)");
    field(
        "schedule", schedule, "learning-rate schedule (group `schedule`)", config::Need::kRequired);
    field("trainer", trainer, "training loop (group `trainer`)");
    field("infer", infer, "prediction of whole volumes (group `infer`)");
    field("initialise",
          initialise,
          "earlier runs whose weights the model starts from, each over those before it");
    field("study", study, "comparison of sharing, weighting or anything else (group `study`)");
  }
};

/// Everything of one task, built.
struct ExperimentTask {
  std::string key;
  TaskSetup setup;
  std::shared_ptr<const Dataset>
      dataset;  ///< null when it could not be opened (prediction elsewhere)
  std::shared_ptr<Task> task;
  std::shared_ptr<const TransformChain> transforms;
  std::shared_ptr<const TransformChain> validation_transforms;
  std::shared_ptr<Adversary> adversary =
      nullptr;  ///< null for a task without one, and outside training
  AdversarySetup adversary_setup = {};
  Index3 upsampling = {1, 1, 1};  ///< of its head
};

/// Typed configuration plus what is built from it.
///
/// `check` finds every schema error of the whole tree (framework keys and every component's)
/// without building anything. The constructor needs a checked configuration. Construction order:
/// datasets, tasks, model, weighting; torch's generator is seeded with `seed` before the model, so
/// equal configurations start with equal weights. Model and weighting are moved to `device`.
///
/// A task needs its head's channels and the model needs the tasks' roles; so a task is made twice:
/// once to ask for its roles, with `head_channels` = the number of its classes (0 without classes:
/// not known yet), and again for good.
class Experiment {
 public:
  /// Throws one ConfigError (`schema`) listing all errors.
  static void check(const config::Node& resolved);

  /// `for_training` = false leaves data sets out that cannot be opened (prediction elsewhere).
  /// `trained`, the state of a checkpoint, then gives their class tables and channels; where it is
  /// given it goes before the data sets.
  Experiment(const config::Node& resolved, bool for_training, const TrainState* trained = nullptr);

  const ExperimentConfig& config() const { return config_; }
  const config::Node& node() const { return node_; }
  c10::Device device() const { return device_; }
  /// In the order of the model: by key, a task after those it reads from.
  std::vector<ExperimentTask>& tasks() { return tasks_; }
  const std::vector<ExperimentTask>& tasks() const { return tasks_; }
  /// Throws usage_error naming the tasks there are.
  ExperimentTask& task(const std::string& key);
  MultiTaskModel& model() { return *model_; }
  Weighting& weighting() { return *weighting_; }
  /// Throws usage_error naming the data sets there are, data_error when this one could not be
  /// opened.
  std::shared_ptr<const Dataset> dataset(const std::string& name) const;
  /// Input channels of each modality that the model takes.
  const std::map<std::string, std::int64_t>& channels() const { return channels_; }
  /// What a checkpoint keeps of this experiment: classes and channels; step 0.
  TrainState initial_state() const;

 private:
  void open_datasets(bool for_training);
  void create_tasks(const TrainState* trained);
  void collect_channels(const ExperimentTask& task);
  void create_model();
  void create_adversaries();
  void check_slabs() const;

  config::Node node_;
  ExperimentConfig config_;
  c10::Device device_;
  std::map<std::string, std::shared_ptr<const Dataset>> datasets_;
  std::map<std::string, std::string> dataset_faults_;  ///< why a data set is null
  std::vector<ExperimentTask> tasks_;
  std::vector<config::Node> task_nodes_;  ///< configuration of the component, by task
  std::map<std::string, std::int64_t> channels_;
  std::shared_ptr<MultiTaskModel> model_;
  std::shared_ptr<Weighting> weighting_;
};

}  // namespace triptych
