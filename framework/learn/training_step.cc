// SPDX-License-Identifier: Apache-2.0
#include "framework/learn/training_step.h"

#include <cmath>

#include "framework/core/error.h"
#include "framework/core/nn.h"
#include "framework/core/shape.h"
#include "framework/core/suggest.h"
#include "framework/core/torch_compat.h"
#include "framework/learn/batch_padding.h"

namespace triptych {
namespace {

constexpr const char* kWeightingPrefix = "weighting.";
constexpr const char* kHeadPrefix = "head_";

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

/// Roles that an item must have for the task's losses: what the heads read and what the task requires.
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
  for (std::size_t item = 0; item < served.size(); ++item) parts[served[item]].push_back(static_cast<std::int64_t>(item));
  std::vector<std::vector<std::int64_t>> result;
  for (auto& [served_tasks, items] : parts) result.push_back(std::move(items));
  return result;
}

std::string number_text(double value) { return std::isnan(value) ? "NaN" : value > 0.0 ? "infinite" : "minus infinity"; }

}  // namespace

Batch prepared(const Batch& batch, Experiment& experiment) {
  return padded_to(batch.to(experiment.device()), experiment.model().column().size_multiple());
}

std::vector<TaskOutput> group_outputs(Experiment& experiment, const TaskGroup& group, const Batch& batch) {
  const std::vector<ExperimentTask>& tasks = experiment.tasks();
  std::map<std::size_t, Pieces> pieces;
  for (const std::vector<std::int64_t>& items : forward_parts(experiment.model(), group, tasks, batch)) {
    const Batch part = batch.rows(items);
    std::map<std::size_t, std::vector<std::int64_t>> rows;
    for (const std::size_t index : group.tasks) {
      rows[index] = part.items_with(needed_roles(experiment.model(), tasks[index]));
      if (rows[index].empty()) rows.erase(index);
    }
    if (rows.empty()) continue;
    std::vector<std::string> keys;
    for (const auto& [index, own] : rows) keys.push_back(tasks[index].key);
    const Autocast autocast(experiment.config().trainer.precision == "bfloat16", experiment.device());
    const std::map<std::string, Prediction> predictions = experiment.model().forward(part, keys);
    for (const auto& [index, own] : rows) {
      pieces[index].predictions.push_back(in_float32(predictions.at(tasks[index].key)).rows(own));
      for (const std::int64_t row : own) pieces[index].items.push_back(items[static_cast<std::size_t>(row)]);
    }
  }
  std::vector<TaskOutput> outputs;
  for (const auto& [index, own] : pieces) outputs.push_back({index, concatenated(own.predictions), batch.rows(own.items)});
  return outputs;
}

std::vector<TaskLoss> task_losses(const Experiment& experiment, const std::vector<TaskOutput>& outputs) {
  std::vector<TaskLoss> losses;
  for (const TaskOutput& output : outputs) {
    const Task& task = *experiment.tasks()[output.task].task;
    TaskLoss loss{output.task, task.losses(output.prediction, output.batch), {}, output.batch.ids};
    for (const LossTerm& term : loss.terms) loss.total = loss.total.defined() ? loss.total + term.value : term.value;
    if (loss.total.defined()) losses.push_back(std::move(loss));
  }
  return losses;
}

void throw_if_not_finite(const std::vector<TaskLoss>& losses, const Experiment& experiment, std::int64_t step) {
  for (const TaskLoss& loss : losses) {
    for (const LossTerm& term : loss.terms) {
      const double value = term.value.item<double>();
      if (std::isfinite(value)) continue;
      throw numeric_error(fmt::format("task '{}': loss term '{}' is {} at step {}, items {}",
                                      experiment.tasks()[loss.task].key, term.name, number_text(value), step, join(loss.ids)),
                          "checkpoints stay as they were; look at these items, lower optimizer.lr or set trainer.clip_norm");
    }
  }
}

NamedTensors trainable_parameters(Experiment& experiment) {
  NamedTensors result;
  for (const auto& item : experiment.model().named_parameters()) {
    if (item.value().requires_grad()) result.emplace_back(item.key(), item.value());
  }
  for (const auto& item : experiment.weighting().named_parameters()) {
    if (item.value().requires_grad()) result.emplace_back(kWeightingPrefix + item.key(), item.value());
  }
  return result;
}

GradientStep::GradientStep(Experiment& experiment, const NamedTensors& parameters, std::int64_t accumulate)
    : experiment_(experiment), parameters_(parameters), scale_(1.0 / static_cast<double>(accumulate)) {
  for (const auto& [name, tensor] : parameters_) {
    shared_.push_back(!name.starts_with(kHeadPrefix) && !name.starts_with(kWeightingPrefix));
  }
  const auto count = static_cast<std::int64_t>(experiment.tasks().size());
  all_present_ = torch::ones({count}, torch::TensorOptions(torch::kBool).device(experiment.device()));
}

double GradientStep::add(const std::vector<std::pair<const TaskGroup*, Batch>>& batches, std::int64_t step) {
  std::vector<TaskLoss> losses;
  for (const auto& [group, batch] : batches) {
    for (TaskLoss& loss : task_losses(experiment_, group_outputs(experiment_, *group, batch))) losses.push_back(std::move(loss));
  }
  if (losses.empty()) return 0.0;
  note_terms(losses);
  const bool by_task = experiment_.weighting().needs_jacobian();
  const at::Tensor all = stacked(losses);
  const at::Tensor total = by_task ? all.sum() : experiment_.weighting().combine(all, presence(losses));
  const double value = total.item<double>();
  if (!std::isfinite(value)) {
    throw_if_not_finite(losses, experiment_, step);
    throw numeric_error(fmt::format("the weighted loss is {} at step {} although every term is finite",
                                    number_text(value),
                                    step));
  }
  if (by_task) {
    add_jacobian_rows(losses);
  } else {
    (total * scale_).backward();
  }
  return value;
}

at::Tensor GradientStep::stacked(const std::vector<TaskLoss>& losses) const {
  const auto options = torch::TensorOptions(torch::kFloat).device(experiment_.device());
  std::vector<at::Tensor> by_task(experiment_.tasks().size());
  for (const TaskLoss& loss : losses) by_task[loss.task] = loss.total.to(torch::kFloat).reshape({});
  for (at::Tensor& value : by_task) {
    if (!value.defined()) value = torch::zeros({}, options);
  }
  return torch::stack(by_task);
}

at::Tensor GradientStep::presence(const std::vector<TaskLoss>& losses) {
  if (losses.size() == experiment_.tasks().size()) return all_present_;
  at::Tensor present = torch::zeros({all_present_.size(0)}, torch::kBool);
  for (const TaskLoss& loss : losses) present.data_ptr<bool>()[loss.task] = true;
  return present.to(experiment_.device());
}

void GradientStep::add_jacobian_rows(const std::vector<TaskLoss>& losses) {
  std::vector<at::Tensor> inputs;
  for (const auto& [name, tensor] : parameters_) {
    if (!name.starts_with(kWeightingPrefix)) inputs.push_back(tensor);
  }
  if (!jacobian_.defined()) {
    std::int64_t size = 0;
    for (std::size_t p = 0; p < inputs.size(); ++p) size += shared_[p] ? inputs[p].numel() : 0;
    const auto options = torch::TensorOptions(torch::kFloat).device(experiment_.device());
    jacobian_ = torch::zeros({all_present_.size(0), size}, options);
    jacobian_present_.assign(experiment_.tasks().size(), false);
  }
  for (std::size_t t = 0; t < losses.size(); ++t) {
    const bool keep_graph = t + 1 < losses.size();
    const auto gradients = torch::autograd::grad({losses[t].total * scale_}, inputs, {}, keep_graph, false, true);
    const torch::NoGradGuard no_grad;
    at::Tensor row = jacobian_[static_cast<std::int64_t>(losses[t].task)];
    jacobian_present_[losses[t].task] = true;
    std::int64_t offset = 0;
    for (std::size_t p = 0; p < inputs.size(); ++p) {
      const std::int64_t size = inputs[p].numel();
      if (shared_[p]) {
        if (gradients[p].defined()) row.narrow(0, offset, size).add_(gradients[p].reshape({-1}));
        offset += size;
      } else if (gradients[p].defined()) {
        at::Tensor& own = inputs[p].mutable_grad();
        own = own.defined() ? own + gradients[p] : gradients[p];
      }
    }
  }
}

void GradientStep::finish() {
  if (!jacobian_.defined()) return;
  at::Tensor present = torch::zeros({all_present_.size(0)}, torch::kBool);
  for (std::size_t t = 0; t < jacobian_present_.size(); ++t) present.data_ptr<bool>()[t] = jacobian_present_[t];
  const at::Tensor gradient = experiment_.weighting().aggregate(jacobian_, present.to(experiment_.device())).detach();
  check_shape(gradient, {jacobian_.size(1)}, "gradient from the weighting");
  std::int64_t offset = 0;
  for (std::size_t p = 0; p < parameters_.size(); ++p) {
    if (!shared_[p]) continue;
    at::Tensor& parameter = parameters_[p].second;
    parameter.mutable_grad() = gradient.narrow(0, offset, parameter.numel()).view(parameter.sizes());
    offset += parameter.numel();
  }
  jacobian_ = at::Tensor();
}

void GradientStep::note_terms(const std::vector<TaskLoss>& losses) {
  // Sums stay on the device: reading them here would make the GPU wait for every term of every step.
  const auto add = [&](const std::string& name, const at::Tensor& value) {
    auto& [sum, count] = term_sums_[name];
    sum = sum.defined() ? sum + value.detach() : value.detach();
    ++count;
  };
  for (const TaskLoss& loss : losses) {
    const std::string tag = "loss/" + experiment_.tasks()[loss.task].key + "/";
    for (const LossTerm& term : loss.terms) add(tag + term.name, term.value);
    if (loss.terms.size() > 1) add(tag + "total", loss.total);
  }
}

std::vector<std::pair<std::string, double>> GradientStep::take_term_means() {
  std::vector<std::pair<std::string, double>> means;
  for (const auto& [name, sum] : term_sums_) {
    means.emplace_back(name, sum.first.item<double>() / static_cast<double>(sum.second));
  }
  term_sums_.clear();
  return means;
}

}  // namespace triptych
