// SPDX-License-Identifier: Apache-2.0
#include "framework/learn/sample_scores.h"

#include "framework/core/error.h"
#include "framework/core/nn.h"
#include "framework/core/progress.h"
#include "framework/core/stop.h"
#include "framework/learn/evaluation_mode.h"
#include "framework/learn/task_outputs.h"

#include <algorithm>
#include <utility>

namespace triptych {
namespace {

/// Accumulators by task and place of the sample in its data set.
using Accumulators =
    std::map<std::pair<std::size_t, std::size_t>, std::unique_ptr<MetricAccumulator>>;

/// A batch holds items of one sample only.
void score_batch(Experiment& experiment,
                 const TaskGroup& group,
                 const std::vector<Item>& items,
                 Accumulators& accumulators) {
  const Batch read = make_batch(group.source, items);
  const torch::InferenceMode inference;
  for (const TaskOutput& output :
       group_outputs(experiment, group, prepared(read, experiment, group))) {
    auto& accumulator = accumulators[{output.task, items.front().sample}];
    if (accumulator == nullptr) accumulator = experiment.tasks()[output.task].task->metrics();
    accumulator->add(output.prediction, output.batch);
  }
}

std::vector<TaskGroup> learned_groups(const Experiment& experiment) {
  std::vector<TaskGroup> groups = make_task_groups(experiment, Phase::kTest);
  for (TaskGroup& group : groups) {
    std::erase_if(group.tasks, [&](std::size_t task) {
      return !ever_learns(experiment.config().trainer, experiment.tasks()[task].key);
    });
  }
  std::erase_if(groups, [](const TaskGroup& group) { return group.tasks.empty(); });
  return groups;
}

}  // namespace

bool ever_learns(const TrainerConfig& trainer, const std::string& task) {
  std::int64_t end = 0;
  for (const TrainingStage& stage : trainer.stages) {
    const auto& tasks = stage.tasks;
    if (tasks.empty() || std::find(tasks.begin(), tasks.end(), task) != tasks.end()) return true;
    end = stage.until == 0 ? trainer.max_steps : stage.until;
  }
  return end < trainer.max_steps;
}

std::vector<SampleScore> score_test_samples(Experiment& experiment) {
  const EvaluationMode evaluation(experiment.model());
  const std::vector<TaskGroup> groups = learned_groups(experiment);
  if (groups.empty())
    throw data_error("trainer.test: no task has a sample in the split 'test'",
                     "name test samples in datasets.<name>.splits, or leave trainer.test away");
  std::vector<std::pair<const TaskGroup*, std::vector<Item>>> batches;
  for (const TaskGroup& group : groups) {
    for (std::vector<Item>& items : validation_batches(group, 0))
      batches.emplace_back(&group, std::move(items));
  }
  Accumulators accumulators;
  Progress progress("test", static_cast<std::int64_t>(batches.size()));
  for (std::size_t i = 0; i < batches.size(); ++i) {
    if (stop_requested() != 0) return {};
    score_batch(experiment, *batches[i].first, batches[i].second, accumulators);
    progress.update(static_cast<std::int64_t>(i) + 1);
  }
  std::vector<SampleScore> scores;
  for (const auto& [place, accumulator] : accumulators) {
    const ExperimentTask& task = experiment.tasks()[place.first];
    scores.push_back({task.key, task.dataset->samples()[place.second].id, accumulator->values()});
  }
  return scores;
}

}  // namespace triptych
