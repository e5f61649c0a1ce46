// SPDX-License-Identifier: Apache-2.0
#include "framework/app/trained_task.h"

#include "framework/app/stored_image.h"
#include "framework/core/error.h"
#include "framework/core/suggest.h"
#include "framework/data/finer_grid.h"

namespace triptych::app {
namespace {

/// What the data set says of an entry; nullptr when neither is at hand.
const EntrySpec* find_entry(const ExperimentTask& task, const std::string& name) {
  if (task.dataset == nullptr) return nullptr;
  for (const SampleSpec& sample : task.dataset->samples()) {
    if (const EntrySpec* entry = sample.find(name)) return entry;
  }
  return nullptr;
}

/// The required roles that are no targets. Modalities come from the data set when it is at hand,
/// else from the model when it knows only one.
std::vector<InputRole> input_roles(const Experiment& experiment, const ExperimentTask& task) {
  const std::map<std::string, std::int64_t>& channels = experiment.channels();
  const std::string reference = task.task->reference_role();
  std::vector<InputRole> inputs;
  for (const RoleBinding& role : task.task->roles()) {
    if (role.target || !role.required) continue;
    if (role.role == "projections") {
      throw usage_error(
          fmt::format("task '{}' reconstructs from projections; predict and evaluate run= give "
                      "it images",
                      task.key),
          "`triptych reconstruct method=learned run=<run>` applies it to a scan, `triptych "
          "evaluate "
          "kind=images` compares the result with a reference");
    }
    const EntrySpec* entry = find_entry(task, role.entry);
    if (entry != nullptr && entry->kind != EntryKind::kIntensity) {
      throw usage_error(
          fmt::format(
              "task '{}': its role '{}' holds a {}; whole volumes are predicted from images only",
              task.key,
              role.role,
              kind_text(entry->kind)),
          "roles that a prediction is compared with are bound with RoleBinding::target");
    }
    InputRole input{role.role, channels.size() == 1 ? channels.begin()->first : "", 1};
    if (entry != nullptr) input.modality = entry->modality;
    const auto found = channels.find(input.modality);
    if (found != channels.end()) input.channels = found->second;
    inputs.insert(role.role == reference ? inputs.begin() : inputs.end(), input);
  }
  if (inputs.empty())
    throw usage_error(
        fmt::format("task '{}': none of its roles is an image to predict from", task.key));
  return inputs;
}

Batch whole_batch(const std::vector<InputRole>& inputs,
                  const std::map<std::string, InputImage>& images) {
  Batch batch;
  batch.ids = {"volume"};
  for (const InputRole& input : inputs) {
    const InputImage& image = images.at(input.role);
    BatchEntry entry;
    entry.data = image.store->tensor().unsqueeze(0);
    entry.items = {0};
    entry.geometry = {image.geometry};
    entry.modality = input.modality;
    batch.entries.emplace(input.role, std::move(entry));
  }
  return batch;
}

}  // namespace

std::string only_task(const Experiment& experiment) {
  std::vector<std::string> keys;
  for (const ExperimentTask& task : experiment.tasks()) keys.push_back(task.key);
  if (keys.size() == 1) return keys.front();
  throw usage_error(fmt::format("task: the run has several tasks; name one of: {}", join(keys)));
}

std::filesystem::path TrainedTask::scratch() const { return scratch_folder(infer().scratch); }

VolumePredictor TrainedTask::predictor(const InferConfig& infer) const {
  const std::shared_ptr<Task> component = task().task;
  const auto activate = [component](const Prediction& prediction) {
    return component->activate(prediction);
  };
  return {volume_network(
              experiment->model(), key, inputs.front().modality, experiment->device(), activate),
          infer};
}

Geometry TrainedTask::prediction_grid(const Geometry& image) const {
  return finer_grid(image, predictor().upsampling(image.shape));
}

PredictedVolume TrainedTask::predict(const std::map<std::string, InputImage>& images,
                                     MemoryBudget& budget) const {
  const VolumePrediction way = task().task->volume_prediction();
  if (way == VolumePrediction::kGlobal) {
    return predictor().predict_whole(
        whole_batch(inputs, images), inputs.front().role, budget, scratch());
  }
  if (way == VolumePrediction::kBlocks && experiment->model().column().slab() != 0) {
    throw model_error(fmt::format(
        "task '{}' is predicted in blocks: expected a 3D backbone, got one of slices", key));
  }
  const InputImage& image = images.at(inputs.front().role);
  return predictor().predict(*image.store, image.geometry, budget, scratch());
}

TrainedTask open_task(const std::string& run,
                      const std::string& checkpoint,
                      const std::string& task,
                      const std::string& device,
                      const config::Node& infer) {
  config::Node changes = config::Node::map();
  if (!device.empty()) changes.set("device", config::Node(device));
  if (infer.is_map()) changes.set("infer", infer);
  TrainedTask trained;
  const StoredRun stored = open_run(run, checkpoint);
  trained.experiment = load_experiment(stored, changes);
  trained.checkpoint = stored.checkpoint;
  trained.key = task.empty() ? only_task(*trained.experiment) : trained.experiment->task(task).key;
  trained.inputs = input_roles(*trained.experiment, trained.task());
  return trained;
}

}  // namespace triptych::app
