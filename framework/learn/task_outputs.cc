// SPDX-License-Identifier: Apache-2.0
#include "framework/learn/task_outputs.h"

#include "framework/core/error.h"
#include "framework/core/nn.h"
#include "framework/core/place.h"
#include "framework/core/suggest.h"
#include "framework/core/torch_compat.h"
#include "framework/learn/batch_padding.h"

#include <cmath>

namespace triptych {
namespace {

Prediction in_float32(Prediction prediction) {
  prediction.value = prediction.value.to(torch::kFloat);
  for (auto& [name, tensor] : prediction.extra) {
    if (tensor.defined() && tensor.is_floating_point()) tensor = tensor.to(torch::kFloat);
  }
  return prediction;
}

/// Predictions of one task for parts of a batch, and the batch's items that they belong to.
struct Pieces {
  std::vector<Prediction> predictions;
  std::vector<std::int64_t> items;
};

/// Roles that an item must have for the task's losses: what the heads read and what the task
/// requires.
std::vector<std::string> needed_roles(const MultiTaskModel& model, const ExperimentTask& task) {
  std::vector<std::string> roles = model.roles_read(task.key);
  for (const RoleBinding& role : task.task->roles()) {
    if (role.required) roles.push_back(role.role);
  }
  return roles;
}

/// The items of a batch, parted by the tasks whose heads they can serve.
std::vector<std::vector<std::int64_t>> forward_parts(const MultiTaskModel& model,
                                                     const TaskGroup& group,
                                                     const std::vector<ExperimentTask>& tasks,
                                                     const Batch& batch) {
  std::vector<std::vector<std::size_t>> served(static_cast<std::size_t>(batch.size()));
  for (const std::size_t index : group.tasks) {
    for (const std::int64_t item : batch.items_with(model.roles_read(tasks[index].key))) {
      served[static_cast<std::size_t>(item)].push_back(index);
    }
  }
  std::map<std::vector<std::size_t>, std::vector<std::int64_t>> parts;
  for (std::size_t item = 0; item < served.size(); ++item)
    parts[served[item]].push_back(static_cast<std::int64_t>(item));
  std::vector<std::vector<std::int64_t>> result;
  for (auto& [served_tasks, items] : parts) result.push_back(std::move(items));
  return result;
}

at::Tensor sum_of(const std::vector<LossTerm>& terms) {
  at::Tensor total;
  for (const LossTerm& term : terms) {
    if (!term.value.defined() || term.value.numel() != 1) {
      throw shape_error(fmt::format(
          "loss term '{}': expected a scalar, got {}",
          term.name,
          term.value.defined() ? fmt::format("{} values", term.value.numel()) : "no tensor"));
    }
    total = total.defined() ? total + term.value : term.value;
  }
  return total;
}

}  // namespace

std::string not_finite_text(double value) {
  return std::isnan(value) ? "NaN" : value > 0.0 ? "infinite" : "minus infinity";
}

Batch prepared(const Batch& batch, Experiment& experiment, const TaskGroup& group) {
  return padded_to(batch.to(experiment.device()),
                   experiment.model().column().size_multiple(),
                   group.source.roles);
}

std::vector<TaskOutput> group_outputs(Experiment& experiment,
                                      const TaskGroup& group,
                                      const Batch& batch) {
  const std::vector<ExperimentTask>& tasks = experiment.tasks();
  std::map<std::size_t, Pieces> pieces;
  for (const std::vector<std::int64_t>& items :
       forward_parts(experiment.model(), group, tasks, batch)) {
    const Batch part = batch.rows(items);
    std::map<std::size_t, std::vector<std::int64_t>> rows;
    for (const std::size_t index : group.tasks) {
      rows[index] = part.items_with(needed_roles(experiment.model(), tasks[index]));
      if (rows[index].empty()) rows.erase(index);
    }
    if (rows.empty()) continue;
    std::vector<std::string> keys;
    for (const auto& [index, own] : rows) keys.push_back(tasks[index].key);
    const Autocast autocast(experiment.config().trainer.precision == "bfloat16",
                            experiment.device());
    const std::map<std::string, Prediction> predictions = experiment.model().forward(part, keys);
    for (const auto& [index, own] : rows) {
      pieces[index].predictions.push_back(in_float32(predictions.at(tasks[index].key)).rows(own));
      for (const std::int64_t row : own)
        pieces[index].items.push_back(items[static_cast<std::size_t>(row)]);
    }
  }
  std::vector<TaskOutput> outputs;
  for (const auto& [index, own] : pieces)
    outputs.push_back({index, concatenated(own.predictions), batch.rows(own.items)});
  return outputs;
}

std::vector<TaskLoss> task_losses(const Experiment& experiment,
                                  const std::vector<TaskOutput>& outputs) {
  std::vector<TaskLoss> losses;
  for (const TaskOutput& output : outputs) {
    const ExperimentTask& task = experiment.tasks()[output.task];
    TaskLoss loss{output.task, {}, {}, output.batch.ids};
    at_place(fmt::format("losses of task '{}'", task.key), [&] {
      loss.terms = task.task->losses(output.prediction, output.batch);
      loss.total = sum_of(loss.terms);
    });
    if (loss.total.defined()) losses.push_back(std::move(loss));
  }
  return losses;
}

void throw_if_not_finite(const std::vector<TaskLoss>& losses,
                         const Experiment& experiment,
                         std::int64_t step) {
  for (const TaskLoss& loss : losses) {
    for (const LossTerm& term : loss.terms) {
      const double value = term.value.item<double>();
      if (std::isfinite(value)) continue;
      throw numeric_error(fmt::format("task '{}': loss term '{}' is {} at step {}, items {}",
                                      experiment.tasks()[loss.task].key,
                                      term.name,
                                      not_finite_text(value),
                                      step,
                                      join(loss.ids)),
                          "checkpoints stay as they were; look at these items, lower optimizer.lr "
                          "or set trainer.clip_norm");
    }
  }
}

}  // namespace triptych
