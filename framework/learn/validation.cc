// SPDX-License-Identifier: Apache-2.0
#include "framework/learn/validation.h"

#include "framework/core/error.h"
#include "framework/core/nn.h"
#include "framework/core/place.h"
#include "framework/core/stop.h"
#include "framework/learn/batch_padding.h"
#include "framework/learn/evaluation_mode.h"
#include "framework/learn/task_outputs.h"

#include <algorithm>

namespace triptych {
namespace {

/// `count` of `items`, each in the middle of its share of the list: the first slices of a volume
/// show nothing.
std::vector<Item> spread(const std::vector<Item>& items, std::int64_t count) {
  const auto size = static_cast<std::int64_t>(items.size());
  std::vector<Item> chosen;
  for (std::int64_t i = 0; i < std::min(count, size); ++i) {
    chosen.push_back(
        items[static_cast<std::size_t>((2 * i + 1) * size / (2 * std::min(count, size)))]);
  }
  return chosen;
}

/// The first image of the task that the batch has; its grid is the prediction's where heads answer
/// on their input's grid.
const BatchEntry* image_of(const Batch& batch, const ExperimentTask& task) {
  for (const RoleBinding& role : task.task->roles()) {
    if (batch.has(role.role) && batch.at(role.role).kind == EntryKind::kIntensity)
      return &batch.at(role.role);
  }
  return nullptr;
}

/// The part of a prediction over the unpadded image; all of it where there is no image.
at::Tensor without_padding(const at::Tensor& prediction,
                           const BatchEntry* image,
                           const ExperimentTask& task) {
  if (image == nullptr) return prediction;
  Index3 size = image->geometry.at(0).shape;
  for (std::size_t axis = 0; axis < 3; ++axis) size[axis] *= task.upsampling[axis];
  return unpadded(prediction, size);
}

}  // namespace

struct Validation::TaskSums {
  std::unique_ptr<MetricAccumulator> metrics;  ///< null for a task without validation items
  double loss = 0.0;                           ///< sum over items
  std::int64_t items = 0;
};

Validation::Validation(Experiment& experiment)
    : experiment_(experiment), groups_(make_task_groups(experiment, Phase::kValidation)) {}

std::optional<std::vector<ValidationValue>> Validation::run(std::int64_t step,
                                                            const PredictionSink& sink) {
  const EvaluationMode evaluation(experiment_.model());
  std::vector<TaskSums> sums(experiment_.tasks().size());
  for (const TaskGroup& group : groups_) {
    for (const std::size_t index : group.tasks)
      sums[index].metrics = experiment_.tasks()[index].task->metrics();
    if (!run_group(group, step, sums)) return std::nullopt;
    if (sink) show_items(group, sink);
  }
  return values_of(sums);
}

bool Validation::run_group(const TaskGroup& group, std::int64_t step, std::vector<TaskSums>& sums) {
  const std::int64_t limit = experiment_.tasks()[group.tasks[0]].setup.validation_items;
  for (const std::vector<Item>& items : validation_batches(group, limit)) {
    if (stop_requested() != 0) return false;
    // Read outside inference mode: a data set may cache what it reads, and the cached tensors serve
    // training too.
    const Batch read = make_batch(group.source, items);
    const torch::InferenceMode inference;
    const Batch batch = prepared(read, experiment_, group);
    const std::vector<TaskOutput> outputs = group_outputs(experiment_, group, batch);
    const std::vector<TaskLoss> losses = task_losses(experiment_, outputs);
    throw_if_not_finite(losses, experiment_, step);
    for (const TaskLoss& loss : losses) {
      TaskSums& sum = sums[loss.task];
      const auto rows = static_cast<std::int64_t>(loss.ids.size());
      sum.loss += loss.total.item<double>() * static_cast<double>(rows);
      sum.items += rows;
    }
    for (const TaskOutput& output : outputs) {
      at_place(fmt::format("metrics of task '{}'", experiment_.tasks()[output.task].key),
               [&] { sums[output.task].metrics->add(output.prediction, output.batch); });
    }
  }
  return true;
}

void Validation::show_items(const TaskGroup& group, const PredictionSink& sink) {
  const ExperimentConfig& config = experiment_.config();
  const std::int64_t limit = experiment_.tasks()[group.tasks[0]].setup.validation_items;
  for (const Item& item : spread(group.source.sampler->all_items(limit), config.trainer.overlays)) {
    const Batch batch = make_batch(group.source, {item});
    const torch::InferenceMode inference;
    for (const TaskOutput& output :
         group_outputs(experiment_, group, prepared(batch, experiment_, group))) {
      const ExperimentTask& task = experiment_.tasks()[output.task];
      const at::Tensor activated = at_place(fmt::format("activate of task '{}'", task.key), [&] {
        const at::Tensor value = task.task->activate(output.prediction);
        if (value.dim() == output.prediction.value.dim())
          return without_padding(value, image_of(batch, task), task);
        throw shape_error(fmt::format("expected {} axes as the prediction has, got {}",
                                      output.prediction.value.dim(),
                                      value.dim()));
      });
      sink(task, batch, activated.to(torch::kCPU));
    }
  }
}

std::vector<ValidationValue> Validation::values_of(const std::vector<TaskSums>& sums) const {
  std::vector<ValidationValue> values;
  double total = 0.0;
  bool any = false;
  for (std::size_t t = 0; t < sums.size(); ++t) {
    if (sums[t].metrics == nullptr) continue;
    const ExperimentTask& task = experiment_.tasks()[t];
    for (const MetricValue& metric : sums[t].metrics->values()) {
      values.push_back({task.key + "/" + metric.name, metric.value, metric.direction});
    }
    if (sums[t].items == 0) continue;
    const double loss = sums[t].loss / static_cast<double>(sums[t].items);
    values.push_back({task.key + "/loss/val", loss, Direction::kLowerIsBetter});
    total += task.setup.weight * loss;
    any = true;
  }
  if (any) values.insert(values.begin(), {"loss/val", total, Direction::kLowerIsBetter});
  return values;
}

}  // namespace triptych
