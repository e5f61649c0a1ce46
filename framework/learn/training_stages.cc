// SPDX-License-Identifier: Apache-2.0
#include "framework/learn/training_stages.h"

#include "framework/core/error.h"
#include "framework/core/nn.h"
#include "framework/core/suggest.h"

#include <algorithm>

namespace triptych {
namespace {

constexpr std::size_t kNone = static_cast<std::size_t>(-1);

bool begins_with_any(const std::string& name, const std::vector<std::string>& beginnings) {
  return std::any_of(beginnings.begin(), beginnings.end(), [&](const std::string& beginning) {
    return name.starts_with(beginning);
  });
}

bool contains(const std::vector<std::string>& words, const std::string& word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

/// "sharing.column.encoder_0", "head_bone": what can be frozen, for the message.
std::vector<std::string> parts_of(MultiTaskModel& model) {
  std::vector<std::string> parts;
  for (const auto& item : model.named_parameters()) {
    std::string part = item.key();
    std::size_t dots = part.starts_with("sharing.") ? 3 : 1;
    std::size_t end = 0;
    while (dots-- > 0 && end != std::string::npos) end = part.find('.', end == 0 ? 0 : end + 1);
    part = part.substr(0, end);
    if (!contains(parts, part)) parts.push_back(part);
  }
  return parts;
}

}  // namespace

TrainingStages::TrainingStages(Experiment& experiment, std::vector<TaskGroup> groups)
    : experiment_(experiment), all_(std::move(groups)), entered_(kNone) {
  check();
  for (const auto& item : experiment.model().named_parameters()) {
    if (!item.value().requires_grad()) fixed_.insert(item.key());
  }
}

void TrainingStages::check() const {
  const TrainerConfig& config = experiment_.config().trainer;
  const auto check_beginnings = [&](const std::vector<std::string>& beginnings,
                                    const std::string& key) {
    for (const std::string& beginning : beginnings) {
      const auto parameters = experiment_.model().named_parameters();
      const bool known = std::any_of(parameters.begin(), parameters.end(), [&](const auto& item) {
        return item.key().starts_with(beginning);
      });
      if (known) continue;
      throw ConfigError("schema",
                        fmt::format("{}: no parameter's name begins with '{}'", key, beginning),
                        "parts of the model: " + join(parts_of(experiment_.model())));
    }
  };
  check_beginnings(config.frozen, "trainer.frozen");
  std::int64_t begin = 0;
  for (std::size_t s = 0; s < config.stages.size(); ++s) {
    const TrainingStage& stage = config.stages[s];
    const std::string key = fmt::format("trainer.stages[{}]", s);
    check_beginnings(stage.frozen, key + ".frozen");
    check_tasks(stage.tasks, key + ".tasks");
    const bool last = s + 1 == config.stages.size();
    if (stage.until > begin || (last && stage.until == 0)) {
      begin = stage.until;
      continue;
    }
    throw ConfigError(
        "schema",
        fmt::format("{}.until: expected a step after {}, got {}", key, begin, stage.until),
        "0, the end of the training, is for the last stage alone");
  }
}

void TrainingStages::check_tasks(const std::vector<std::string>& named,
                                 const std::string& key) const {
  std::vector<std::string> known;
  for (const ExperimentTask& task : experiment_.tasks()) known.push_back(task.key);
  for (const std::string& name : named) {
    if (contains(known, name)) continue;
    const std::string meant = did_you_mean(name, known);
    throw ConfigError("schema",
                      fmt::format("{}: no task is called '{}'{} Tasks: {}",
                                  key,
                                  name,
                                  meant.empty() ? "." : meant,
                                  join(known)));
  }
}

std::size_t TrainingStages::stage_of(std::int64_t step) const {
  const auto& stages = experiment_.config().trainer.stages;
  std::size_t index = 0;
  while (index < stages.size() && stages[index].until != 0 && step >= stages[index].until) ++index;
  return index;
}

bool TrainingStages::enter(std::int64_t step) {
  const TrainerConfig& config = experiment_.config().trainer;
  const std::size_t index = stage_of(step);
  if (index == entered_) {
    keep_statistics();
    return false;
  }
  entered_ = index;
  std::vector<std::string> frozen = config.frozen, learning;
  if (index < config.stages.size()) {
    const TrainingStage& stage = config.stages[index];
    frozen.insert(frozen.end(), stage.frozen.begin(), stage.frozen.end());
    learning = stage.tasks;
  }
  active_.clear();
  for (const TaskGroup& group : all_) {
    TaskGroup part = group;
    std::erase_if(part.tasks, [&](std::size_t task) {
      return !learning.empty() && !contains(learning, experiment_.tasks()[task].key);
    });
    if (!part.tasks.empty()) active_.push_back(std::move(part));
  }
  freeze(frozen);
  return true;
}

void TrainingStages::freeze(const std::vector<std::string>& beginnings) {
  MultiTaskModel& model = experiment_.model();
  for (const auto& item : model.named_parameters()) {
    if (!fixed_.contains(item.key()))
      at::Tensor(item.value()).set_requires_grad(!begins_with_any(item.key(), beginnings));
  }
  frozen_modules_.clear();
  for (const auto& item : model.named_modules("", false)) {
    const auto parameters = item.value()->parameters();
    const bool learns =
        std::any_of(parameters.begin(), parameters.end(), [](const at::Tensor& parameter) {
          return parameter.requires_grad();
        });
    item.value()->train(true);
    if (!parameters.empty() && !learns) frozen_modules_.push_back(item.value());
  }
  keep_statistics();
}

void TrainingStages::keep_statistics() {
  for (const auto& module : frozen_modules_) module->eval();
}

}  // namespace triptych
