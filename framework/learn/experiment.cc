// SPDX-License-Identifier: Apache-2.0
#include "framework/learn/experiment.h"

#include "framework/core/error.h"
#include "framework/core/nn.h"
#include "framework/core/suggest.h"
#include "framework/core/torch_compat.h"
#include "framework/learn/experiment_check.h"

#include <algorithm>
#include <set>

#include <torch/utils.h>

namespace triptych {
namespace {

/// The entry of this name in the first sample that has it, or nullptr.
const EntrySpec* find_entry(const Dataset& dataset, const std::string& name) {
  for (const SampleSpec& sample : dataset.samples()) {
    if (const EntrySpec* entry = sample.find(name)) return entry;
  }
  return nullptr;
}

std::vector<std::string> entry_names(const Dataset& dataset) {
  std::set<std::string> names;
  for (const SampleSpec& sample : dataset.samples()) {
    for (const EntrySpec& entry : sample.entries) names.insert(entry.name);
  }
  return {names.begin(), names.end()};
}

/// Refuses roles that the task does not read: it would pass over them.
void check_roles(const ExperimentTask& task, const config::Node& component) {
  const config::Node* bound = component.child("roles");
  if (bound == nullptr || !bound->is_map()) return;
  std::vector<std::string> known;
  for (const RoleBinding& role : task.task->roles()) known.push_back(role.role);
  for (const config::Entry& entry : bound->as_map()) {
    const std::string role = entry.key.text();
    if (std::find(known.begin(), known.end(), role) != known.end()) continue;
    const std::string meant = did_you_mean(role, known);
    throw ConfigError("schema",
                      fmt::format("{}: 'tasks.{}.roles': the task reads no role '{}'{} Roles: {}",
                                  entry.key.mark().text(),
                                  task.key,
                                  role,
                                  meant.empty() ? "." : meant,
                                  join(known)));
  }
}

}  // namespace

Experiment::Experiment(const config::Node& resolved, bool for_training, const TrainState* trained)
    : node_(resolved),
      config_(config::read<ExperimentConfig>(resolved)),
      device_(device_from_text(config_.device)) {
  open_datasets(for_training);
  create_tasks(trained);
  create_model();
  if (for_training) create_adversaries();
  check_slabs();
}

void Experiment::open_datasets(bool for_training) {
  for (const auto& [name, node] : config_.datasets) {
    try {
      datasets_[name] = DatasetRegistry::instance().create(node);
    } catch (const Error& error) {
      if (for_training) throw;
      datasets_[name] = nullptr;
      dataset_faults_[name] = error.what();
    }
  }
}

void Experiment::create_tasks(const TrainState* trained) {
  std::map<std::string, TaskSetup> setups;
  std::map<std::string, std::vector<std::string>> sources;
  for (const auto& [key, node] : config_.tasks) {
    setups[key] = config::read<TaskSetup>(split_task(node).setup, "tasks." + key);
    sources[key] = setups[key].edges.sources();
  }
  for (const std::string& key : task_order(sources)) {
    ExperimentTask entry{.key = key,
                         .setup = setups[key],
                         .dataset = nullptr,
                         .task = nullptr,
                         .transforms = std::make_shared<TransformChain>(setups[key].transforms),
                         .validation_transforms =
                             std::make_shared<TransformChain>(setups[key].validation_transforms)};
    const auto dataset = datasets_.find(entry.setup.dataset);
    if (dataset != datasets_.end()) entry.dataset = dataset->second;
    TaskContext context{.key = key, .classes = {}, .head_channels = 0};
    if (trained != nullptr && trained->classes.contains(key)) {
      context.classes = trained->classes.at(key);
    } else if (entry.dataset != nullptr) {
      context.classes = entry.dataset->classes();
    } else {
      throw data_error(fmt::format(
          "task '{}': data set '{}' cannot be opened and no checkpoint knows its classes: {}",
          key,
          entry.setup.dataset,
          dataset_faults_[entry.setup.dataset]));
    }
    context.head_channels = context.classes.size();
    task_nodes_.push_back(split_task(config_.tasks.at(key)).component);
    entry.task = TaskRegistry::instance().create(task_nodes_.back(), context);
    if (trained == nullptr) check_roles(entry, task_nodes_.back());
    tasks_.push_back(std::move(entry));
  }
  if (trained != nullptr) channels_ = trained->channels;
  if (!channels_.empty()) return;
  for (const ExperimentTask& entry : tasks_) collect_channels(entry);
}

void Experiment::collect_channels(const ExperimentTask& task) {
  if (task.dataset == nullptr) return;
  for (const RoleBinding& role : task.task->roles()) {
    const EntrySpec* entry = find_entry(*task.dataset, role.entry);
    if (entry == nullptr) {
      // What a task's recipe binds by default has the role's own name, and may be absent.
      if (!role.required && role.entry == role.role) continue;
      const std::vector<std::string> names = entry_names(*task.dataset);
      const std::string meant = did_you_mean(role.entry, names);
      throw ConfigError(
          "schema",
          fmt::format(
              "tasks.{}: role '{}' reads the entry '{}', which data set '{}' lacks{} Entries: {}",
              task.key,
              role.role,
              role.entry,
              task.setup.dataset,
              meant.empty() ? "." : meant,
              join(names)));
    }
    if (entry->kind != EntryKind::kIntensity) continue;
    for (const SampleSpec& sample : task.dataset->samples()) {
      const EntrySpec* own = sample.find(role.entry);
      if (own == nullptr) continue;
      const auto [known, added] = channels_.emplace(own->modality, own->channels);
      if (added || known->second == own->channels) continue;
      throw data_error(
          fmt::format("sample '{}': entry '{}' of modality '{}' has {} channels, others of the "
                      "modality have {}",
                      sample.id,
                      own->name,
                      own->modality,
                      own->channels,
                      known->second));
    }
  }
}

void Experiment::create_model() {
  MultiTaskModel::Config model;
  model.backbone = config_.backbone;
  model.sharing = config_.sharing;
  model.channels = channels_;
  model.modality_stems = config_.stems == "convolution";
  model.rounds = config_.rounds;
  WeightingTasks weights;
  for (const ExperimentTask& entry : tasks_) {
    model.tasks.push_back({entry.key, entry.setup.head, entry.setup.edges});
    weights.keys.push_back(entry.key);
    weights.weights.push_back(entry.setup.weight);
  }
  torch::manual_seed(static_cast<std::uint64_t>(config_.seed));
  model_ = std::make_shared<MultiTaskModel>(model);
  for (std::size_t i = 0; i < tasks_.size(); ++i) {
    TaskContext context = tasks_[i].task->context();
    context.head_channels = model_->head(tasks_[i].key).out_channels();
    tasks_[i].upsampling = model_->head(tasks_[i].key).upsampling();
    tasks_[i].task = TaskRegistry::instance().create(task_nodes_[i], context);
  }
  weighting_ = WeightingRegistry::instance().create(config_.weighting, weights);
  model_->to(device_);
  weighting_->to(device_);
}

void Experiment::create_adversaries() {
  for (ExperimentTask& entry : tasks_) {
    if (!entry.setup.adversary) continue;
    const TaskNodes parts = split_adversary(*entry.setup.adversary);
    entry.adversary_setup =
        config::read<AdversarySetup>(parts.setup, "tasks." + entry.key + ".adversary");
    entry.adversary = AdversaryRegistry::instance().create(parts.component, entry.task->context());
    entry.adversary->to(device_);
  }
}

void Experiment::check_slabs() const {
  const std::int64_t slab = model_->column().slab();
  if (slab == 0) return;
  for (const ExperimentTask& entry : tasks_) {
    if (entry.upsampling[0] != 1) {
      throw ConfigError("schema",
                        fmt::format("tasks.{}.head: the backbone predicts single slices: expected "
                                    "no upsampling along D, got {}",
                                    entry.key,
                                    entry.upsampling[0]));
    }
    const SamplingConfig& sampling = entry.setup.sampling;
    if (sampling.items != "slices" || sampling.slab == slab) continue;
    throw ConfigError(
        "schema",
        fmt::format("tasks.{}.sampling.slab: the backbone takes slabs of {} slices, got {}",
                    entry.key,
                    slab,
                    sampling.slab));
  }
}

ExperimentTask& Experiment::task(const std::string& key) {
  std::vector<std::string> keys;
  for (ExperimentTask& entry : tasks_) {
    if (entry.key == key) return entry;
    keys.push_back(entry.key);
  }
  const std::string meant = did_you_mean(key, keys);
  throw usage_error(fmt::format(
      "no task is called '{}'{} Tasks: {}", key, meant.empty() ? "." : meant, join(keys)));
}

std::shared_ptr<const Dataset> Experiment::dataset(const std::string& name) const {
  const auto found = datasets_.find(name);
  if (found == datasets_.end()) {
    std::vector<std::string> names;
    for (const auto& [key, dataset] : datasets_) names.push_back(key);
    const std::string meant = did_you_mean(name, names);
    throw usage_error(fmt::format("no data set is called '{}'{} Data sets: {}",
                                  name,
                                  meant.empty() ? "." : meant,
                                  join(names)));
  }
  if (found->second == nullptr) throw data_error(dataset_faults_.at(name));
  return found->second;
}

TrainState Experiment::initial_state() const {
  TrainState state;
  for (const ExperimentTask& entry : tasks_)
    state.classes[entry.key] = entry.task->context().classes;
  state.channels = channels_;
  return state;
}

}  // namespace triptych
