// SPDX-License-Identifier: Apache-2.0
#include "framework/app/trained_task.h"

#include "framework/core/error.h"
#include "framework/core/suggest.h"

namespace triptych::app {
namespace {

std::string only_task(const Experiment& experiment) {
  std::vector<std::string> keys;
  for (const ExperimentTask& task : experiment.tasks()) keys.push_back(task.key);
  if (keys.size() == 1) return keys.front();
  throw usage_error(fmt::format("task: the run has several tasks; name one of: {}", join(keys)));
}

/// The modality of the role `image`: from the data set when it is at hand, else the only one that the model knows.
std::string image_modality(const Experiment& experiment, const ExperimentTask& task) {
  for (const RoleBinding& role : task.task->roles()) {
    if (role.role != "image" || task.dataset == nullptr) continue;
    for (const SampleSpec& sample : task.dataset->samples()) {
      if (const EntrySpec* entry = sample.find(role.entry)) return entry->modality;
    }
  }
  const auto& channels = experiment.channels();
  return channels.size() == 1 ? channels.begin()->first : "";
}

}  // namespace

std::filesystem::path TrainedTask::scratch() const {
  return infer().scratch.empty() ? std::filesystem::temp_directory_path() : std::filesystem::path(infer().scratch);
}

VolumePredictor TrainedTask::predictor() const {
  return {classifier_network(experiment->model(), key, modality, experiment->device()), infer()};
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
  trained.experiment = load_experiment(open_run(run, checkpoint), changes);
  trained.key = task.empty() ? only_task(*trained.experiment) : trained.experiment->task(task).key;
  trained.modality = image_modality(*trained.experiment, trained.task());
  const auto& channels = trained.experiment->channels();
  const auto found = channels.find(trained.modality);
  trained.channels = found == channels.end() ? 1 : found->second;
  return trained;
}

}  // namespace triptych::app
