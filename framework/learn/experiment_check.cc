// SPDX-License-Identifier: Apache-2.0
#include "framework/learn/experiment_check.h"

#include "framework/core/error.h"
#include "framework/core/suggest.h"
#include "framework/learn/experiment.h"
#include "framework/learn/schedule.h"
#include "framework/learn/task_groups.h"

#include <algorithm>
#include <set>

namespace triptych {
namespace {

using config::Node;
using config::Problems;

/// The first parts of documented field names: "sampling.items" -> "sampling".
std::vector<std::string> top_keys(const std::vector<config::FieldInfo>& fields) {
  std::vector<std::string> keys;
  for (const config::FieldInfo& field : fields) {
    const std::string key = field.name.substr(0, field.name.find_first_of(".["));
    if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(key);
  }
  return keys;
}

const std::vector<std::string>& setup_keys() {
  static const std::vector<std::string> keys = top_keys(config::describe<TaskSetup>());
  return keys;
}

bool contains(const std::vector<std::string>& words, const std::string& word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

TaskNodes split(const Node& map, const std::vector<std::string>& framework_keys) {
  TaskNodes parts{Node::map(map.mark()), Node::map(map.mark())};
  for (const config::Entry& entry : map.as_map()) {
    Node& part = contains(framework_keys, entry.key.text()) ? parts.setup : parts.component;
    part.set(entry.key, entry.value);
  }
  return parts;
}

config::Mark key_mark(const Node& map, const std::string& key) {
  for (const config::Entry& entry : map.as_map()) {
    if (entry.key.text() == key) return entry.key.mark();
  }
  return map.mark();
}

/// Reports keys that neither the framework nor the component knows, and takes them out of
/// `component`, so that each gets one message that offers both sets of keys.
void check_task_keys(Node& component, Problems& problems) {
  const Node* name = component.child("name");
  const auto& registry = TaskRegistry::instance();
  if (name == nullptr || !name->is_string() || !registry.contains(name->as_string())) return;
  std::vector<std::string> known = top_keys(registry.describe(name->as_string()));
  known.emplace_back("name");
  known.insert(known.end(), setup_keys().begin(), setup_keys().end());
  for (const std::string& key : component.keys()) {
    if (contains(known, key)) continue;
    const std::string meant = did_you_mean(key, known);
    problems.add_at(key_mark(component, key),
                    fmt::format("unknown key '{}'{} Known keys: {}",
                                problems.path_of(key),
                                meant.empty() ? "." : meant,
                                join(known)));
    component.erase(key);
  }
}

void check_transforms(const std::string& key,
                      const std::vector<Node>& transforms,
                      Problems& problems) {
  for (std::size_t i = 0; i < transforms.size(); ++i) {
    const auto scope = problems.enter(fmt::format("{}[{}]", key, i), transforms[i]);
    TransformRegistry::instance().check(transforms[i], problems);
  }
}

void check_name(const std::string& key, const Node& node, Problems& problems) {
  const auto good = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-';
  };
  if (!key.empty() && std::all_of(key.begin(), key.end(), good)) return;
  problems.add_at(
      node.mark(),
      fmt::format("'tasks.{}': a task's name has letters, digits, '_' and '-' only", key));
}

/// A value that must be one of `known` keys of the map `group`.
void check_reference(const Node& setup,
                     const char* key,
                     const std::string& value,
                     const std::vector<std::string>& known,
                     const char* group,
                     Problems& problems) {
  if (contains(known, value)) return;
  const Node* node = setup.child(key);
  const std::string meant = did_you_mean(value, known);
  problems.add_at(node != nullptr ? node->mark() : setup.mark(),
                  fmt::format("'{}' names '{}', which is not under '{}'{} There: {}",
                              problems.path_of(key),
                              value,
                              group,
                              meant.empty() ? "." : meant,
                              join(known)));
}

template <class T>
std::vector<std::string> keys_of(const std::map<std::string, T>& map) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : map) keys.push_back(key);
  return keys;
}

void check_adversary(const Node& node, Problems& problems) {
  const auto scope = problems.enter("adversary", node);
  if (!node.is_map()) {
    problems.add("", fmt::format("expects a map, got {}", node.brief()));
    return;
  }
  const TaskNodes parts = split_adversary(node);
  config::read<AdversarySetup>(parts.setup, problems);
  AdversaryRegistry::instance().check(parts.component, problems);
}

void check_task(const std::string& key,
                const Node& node,
                const ExperimentConfig& config,
                Problems& problems) {
  check_name(key, node, problems);
  const auto scope = problems.enter("tasks." + key, node);
  if (!node.is_map()) {
    problems.add("", fmt::format("expects a map, got {}", node.brief()));
    return;
  }
  TaskNodes parts = split_task(node);
  check_task_keys(parts.component, problems);
  const std::size_t before = problems.lines().size();
  const auto setup = config::read<TaskSetup>(parts.setup, problems);
  const bool sound = problems.lines().size() == before;
  TaskRegistry::instance().check(parts.component, problems);
  if (const Node* head = parts.setup.child("head"); head != nullptr) {
    const auto head_scope = problems.enter("head", *head);
    HeadRegistry::instance().check(*head, problems);
  }
  if (setup.adversary) check_adversary(*setup.adversary, problems);
  check_transforms("transforms", setup.transforms, problems);
  check_transforms("validation_transforms", setup.validation_transforms, problems);
  if (!sound) return;
  check_reference(
      parts.setup, "dataset", setup.dataset, keys_of(config.datasets), "datasets", problems);
  for (const std::string& other : setup.edges.reads_from)
    check_reference(parts.setup, "reads_from", other, keys_of(config.tasks), "tasks", problems);
  for (const auto& [role, other] : setup.edges.inputs)
    check_reference(parts.setup, "inputs", other, keys_of(config.tasks), "tasks", problems);
  for (const auto& [role, other] : setup.edges.feedback)
    check_reference(parts.setup, "feedback", other, keys_of(config.tasks), "tasks", problems);
  if (!setup.edges.feedback.empty() && config.rounds == 1)
    problems.add("feedback", "is never read with rounds=1; set rounds to 2 or more");
}

void check_device(const std::string& device, Problems& problems) {
  if (device == "auto" || device == "cpu" || device == "cuda") return;
  const bool indexed = device.starts_with("cuda:") && device.size() > 5 &&
                       device.find_first_not_of("0123456789", 5) == std::string::npos;
  if (indexed) return;
  problems.add("device", fmt::format("expects auto, cpu, cuda or cuda:<index>, got '{}'", device));
}

void check_monitor(const Node& root, const ExperimentConfig& config, Problems& problems) {
  const std::string& monitor = config.trainer.monitor;
  if (monitor == "auto" || monitor == "loss/val") return;
  const std::string task = monitor.substr(0, monitor.find('/'));
  const std::vector<std::string> known = keys_of(config.tasks);
  if (task != monitor && contains(known, task)) return;
  const Node* node = root.find("trainer.monitor");
  const std::string meant = did_you_mean(task, known);
  problems.add_at(
      node != nullptr ? node->mark() : root.mark(),
      fmt::format(
          "'trainer.monitor' expects auto, loss/val or <task>/<metric>, got '{}'{} Tasks: {}",
          monitor,
          meant.empty() ? "." : meant,
          join(known)));
}

/// The set-ups of all tasks that can be read.
std::map<std::string, TaskSetup> sound_setups(const ExperimentConfig& config) {
  std::map<std::string, TaskSetup> setups;
  for (const auto& [key, node] : config.tasks) {
    if (!node.is_map()) continue;
    Problems reported_elsewhere;
    auto setup = config::read<TaskSetup>(split_task(node).setup, reported_elsewhere);
    if (reported_elsewhere.lines().empty()) setups.emplace(key, std::move(setup));
  }
  return setups;
}

void check_cycles(const std::map<std::string, TaskSetup>& setups,
                  const Node& root,
                  Problems& problems) {
  std::map<std::string, std::vector<std::string>> sources;
  for (const auto& [key, setup] : setups) sources[key] = setup.edges.sources();
  std::vector<std::string> cyclic;
  task_order(sources, &cyclic);
  if (cyclic.empty()) return;
  const Node* tasks = root.child("tasks");
  problems.add_at(
      tasks->mark(),
      fmt::format("'tasks': {} read from one another in a circle; `feedback` may, between rounds",
                  join(cyclic)));
}

/// A task reads the output of another in one forward pass on one batch.
void check_edges(const std::map<std::string, TaskSetup>& setups,
                 const Node& root,
                 Problems& problems) {
  for (const auto& [key, setup] : setups) {
    for (const std::string& source : setup.edges.all_sources()) {
      const auto other = setups.find(source);
      if (other == setups.end()) continue;
      const bool together = share_batches(setup, other->second, Phase::kTraining) &&
                            share_batches(setup, other->second, Phase::kValidation);
      if (together) continue;
      const Node* node = root.find("tasks." + key);
      problems.add_at(
          node != nullptr ? node->mark() : root.mark(),
          fmt::format(
              "'tasks.{0}' takes from '{1}', whose batches are others; give '{0}' and '{1}' "
              "equal dataset, "
              "batch_size, validation_items, sampling, transforms and validation_transforms",
              key,
              source));
    }
  }
}

/// The configuration of a component under a root key.
template <class Registry>
void check_component(const char* key, const Node& node, const Node& root, Problems& problems) {
  if (root.child(key) == nullptr) return;  // reported as missing
  const auto scope = problems.enter(key, node);
  Registry::instance().check(node, problems);
}

}  // namespace

TaskNodes split_task(const Node& task) { return split(task, setup_keys()); }

TaskNodes split_adversary(const Node& adversary) {
  return split(adversary, top_keys(config::describe<AdversarySetup>()));
}

std::vector<std::string> task_order(
    const std::map<std::string, std::vector<std::string>>& reads_from,
    std::vector<std::string>* cyclic) {
  std::vector<std::string> order;
  while (order.size() < reads_from.size()) {
    const auto waits = [&](const std::string& other) {
      return reads_from.contains(other) && !contains(order, other);
    };
    const std::size_t before = order.size();
    for (const auto& [key, sources] : reads_from) {
      if (!contains(order, key) && std::none_of(sources.begin(), sources.end(), waits))
        order.push_back(key);
    }
    if (order.size() > before) continue;
    for (const auto& [key, sources] : reads_from) {
      if (contains(order, key)) continue;
      if (cyclic != nullptr) cyclic->push_back(key);
      order.push_back(key);
    }
  }
  return order;
}

void Experiment::check(const Node& resolved) {
  Problems problems;
  const auto scope = problems.enter("", resolved);
  const auto config = config::read<ExperimentConfig>(resolved, problems);
  if (resolved.child("tasks") != nullptr && config.tasks.empty())
    problems.add("tasks", "expects at least one task");
  check_device(config.device, problems);
  for (const auto& [key, node] : config.datasets) {
    const auto dataset_scope = problems.enter("datasets." + key, node);
    DatasetRegistry::instance().check(node, problems);
  }
  for (const auto& [key, node] : config.tasks) check_task(key, node, config, problems);
  const std::map<std::string, TaskSetup> setups = sound_setups(config);
  check_cycles(setups, resolved, problems);
  check_edges(setups, resolved, problems);
  check_component<BackboneRegistry>("backbone", config.backbone, resolved, problems);
  check_component<SharingRegistry>("sharing", config.sharing, resolved, problems);
  check_component<WeightingRegistry>("weighting", config.weighting, resolved, problems);
  check_component<ScheduleRegistry>("schedule", config.schedule, resolved, problems);
  check_monitor(resolved, config, problems);
  problems.throw_if_any();
}

}  // namespace triptych
