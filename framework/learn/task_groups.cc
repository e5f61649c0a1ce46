// SPDX-License-Identifier: Apache-2.0
#include "framework/learn/task_groups.h"

#include "framework/core/error.h"
#include "framework/core/random.h"
#include "framework/data/stack_key.h"

#include <algorithm>

namespace triptych {
namespace {

const std::vector<config::Node>& transforms_of(const TaskSetup& setup, Phase phase) {
  return phase == Phase::kTraining ? setup.transforms : setup.validation_transforms;
}

const char* split_of(Phase phase) {
  switch (phase) {
    case Phase::kTraining:
      return "train";
    case Phase::kValidation:
      return "validation";
    case Phase::kTest:
      break;
  }
  return "test";
}

/// Adds a task's roles to the group's, or returns false when one is bound otherwise there.
bool merge_roles(std::vector<RoleBinding>& roles, const std::vector<RoleBinding>& added) {
  std::vector<RoleBinding> merged = roles;
  for (RoleBinding& role : merged) {
    const auto same = std::find_if(
        added.begin(), added.end(), [&](const RoleBinding& r) { return r.role == role.role; });
    if (same != added.end() &&
        !(same->entry == role.entry && same->target == role.target && same->extent == role.extent &&
          same->upsampling == role.upsampling))
      return false;
    role.required = role.required && same != added.end() && same->required;
  }
  for (const RoleBinding& role : added) {
    const auto known = [&](const RoleBinding& r) { return r.role == role.role; };
    if (std::any_of(roles.begin(), roles.end(), known)) continue;
    merged.push_back(role);
    merged.back().required = role.required && roles.empty();
  }
  roles = std::move(merged);
  return true;
}

/// Name of the entry that carries the region in the first sample that has one of the roles' grids;
/// "" without any.
std::string reference_entry(const std::vector<RoleBinding>& roles, const Dataset& dataset) {
  for (const SampleSpec& sample : dataset.samples()) {
    const std::size_t reference = reference_role(sample, roles);
    if (reference < roles.size()) return roles[reference].entry;
  }
  return "";
}

/// The label on the reference grid that sampling is balanced by: the role `label`, else the first
/// such label, else "".
std::string label_entry(const std::vector<RoleBinding>& roles, const Dataset& dataset) {
  std::string found;
  for (const RoleBinding& role : roles) {
    if (role.extent != RoleBinding::Extent::kRegion || role.upsampled()) continue;
    for (const SampleSpec& sample : dataset.samples()) {
      const EntrySpec* entry = sample.find(role.entry);
      if (entry == nullptr) continue;
      if (entry->kind != EntryKind::kLabel) break;
      if (role.role == "label") return role.entry;
      if (found.empty()) found = role.entry;
      break;
    }
  }
  return found;
}

/// What the first task's set-up says of all of them; `samples` are those of the phase's split.
void complete_source(TaskGroup& group,
                     const ExperimentTask& first,
                     std::vector<std::size_t> samples,
                     Phase phase,
                     std::uint64_t seed) {
  Loader::Source& source = group.source;
  SamplingConfig sampling = first.setup.sampling;
  if (phase != Phase::kTraining) {
    sampling.class_balanced = 0.0;
    sampling.min_foreground = 0.0;
  }
  source.dataset = first.dataset;
  source.transforms = phase == Phase::kTraining ? first.transforms : first.validation_transforms;
  source.slab = sampling.slab;
  source.batch_size = first.setup.batch_size;
  // Named by its first task, so that a task draws the same items whatever other groups there are.
  source.seed = mix_keys(seed, {hash_name(first.key)});
  source.sampler = std::make_shared<Sampler>(first.dataset,
                                             std::move(samples),
                                             sampling,
                                             reference_entry(source.roles, *first.dataset),
                                             label_entry(source.roles, *first.dataset),
                                             source.seed,
                                             make_stack_key(source.roles, source.transforms));
}

/// A head reads the output of a task of its own batch only.
void check_edges(const TaskGroup& group, const std::vector<ExperimentTask>& tasks) {
  const std::vector<std::string> keys = task_keys(group.tasks, tasks);
  for (const std::size_t index : group.tasks) {
    for (const std::string& source : tasks[index].setup.edges.all_sources()) {
      if (std::find(keys.begin(), keys.end(), source) != keys.end()) continue;
      throw ConfigError(
          "schema",
          fmt::format("tasks.{}: '{}', from which it takes, is not predicted in the same batch: "
                      "the two tasks bind a "
                      "role to different entries, or only one has samples in the split",
                      tasks[index].key,
                      source));
    }
  }
}

}  // namespace

std::vector<RoleBinding> bound_roles(const ExperimentTask& task) {
  std::vector<RoleBinding> roles = task.task->roles();
  for (RoleBinding& role : roles) {
    if (role.target && role.extent == RoleBinding::Extent::kRegion)
      role.upsampling = task.upsampling;
  }
  const std::string reference = task.task->reference_role();
  if (reference.empty()) return roles;
  const auto found = std::find_if(
      roles.begin(), roles.end(), [&](const RoleBinding& role) { return role.role == reference; });
  if (found == roles.end()) {
    throw model_error(fmt::format(
        "task '{}': reference_role() names '{}', which roles() lacks", task.key, reference));
  }
  std::rotate(roles.begin(), found, std::next(found));
  return roles;
}

bool share_batches(const TaskSetup& a, const TaskSetup& b, Phase phase) {
  const bool same_items = phase != Phase::kValidation || a.validation_items == b.validation_items;
  return same_items && a.dataset == b.dataset && a.batch_size == b.batch_size &&
         config::write(a.sampling) == config::write(b.sampling) &&
         transforms_of(a, phase) == transforms_of(b, phase);
}

std::vector<TaskGroup> make_task_groups(const Experiment& experiment, Phase phase) {
  const std::vector<ExperimentTask>& tasks = experiment.tasks();
  const char* split = split_of(phase);
  std::vector<TaskGroup> groups;
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    if (tasks[i].dataset == nullptr)
      experiment.dataset(tasks[i].setup.dataset);  // throws why it could not be opened
    if (tasks[i].dataset->split(split).empty()) {
      if (phase != Phase::kTraining) continue;
      throw data_error(fmt::format("data set '{}' of task '{}' has no sample in its split '{}'",
                                   tasks[i].setup.dataset,
                                   tasks[i].key,
                                   split));
    }
    const auto joins = [&](TaskGroup& group) {
      const std::vector<RoleBinding> roles = bound_roles(tasks[i]);
      const Dataset& dataset = *tasks[i].dataset;
      return share_batches(tasks[group.tasks[0]].setup, tasks[i].setup, phase) &&
             reference_entry(group.source.roles, dataset) == reference_entry(roles, dataset) &&
             merge_roles(group.source.roles, roles);
    };
    auto group = std::find_if(groups.begin(), groups.end(), joins);
    if (group == groups.end()) {
      groups.emplace_back();
      group = std::prev(groups.end());
      group->source.roles = bound_roles(tasks[i]);
    }
    group->tasks.push_back(i);
  }
  const auto seed = static_cast<std::uint64_t>(experiment.config().seed);
  for (TaskGroup& group : groups) {
    const ExperimentTask& first = tasks[group.tasks[0]];
    check_edges(group, tasks);
    complete_source(group, first, first.dataset->split(split), phase, seed);
  }
  return groups;
}

std::vector<std::vector<Item>> validation_batches(const TaskGroup& group, std::int64_t limit) {
  const auto size_of = [](const Item& item) {
    Index3 size{};
    for (std::size_t i = 0; i < 3; ++i)
      size[i] = item.region.size[static_cast<std::size_t>(kSliceOrder[item.axis][i])];
    return size;
  };
  std::vector<std::vector<Item>> batches;
  for (const Item& item : group.source.sampler->all_items(limit)) {
    const bool fits = !batches.empty() &&
                      static_cast<std::int64_t>(batches.back().size()) < group.source.batch_size &&
                      size_of(batches.back().front()) == size_of(item) &&
                      batches.back().front().sample == item.sample;
    if (!fits) batches.emplace_back();
    batches.back().push_back(item);
  }
  return batches;
}

std::vector<std::string> task_keys(const std::vector<std::size_t>& indices,
                                   const std::vector<ExperimentTask>& all) {
  std::vector<std::string> keys;
  for (const std::size_t index : indices) keys.push_back(all[index].key);
  return keys;
}

}  // namespace triptych
