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

std::string number_text(double value) { return std::isnan(value) ? "NaN" : value > 0.0 ? "infinite" : "minus infinity"; }

}  // namespace

Batch prepared(const Batch& batch, Experiment& experiment) {
  return padded_to(batch.to(experiment.device()), experiment.model().column().size_multiple());
}

std::vector<TaskLoss> group_losses(Experiment& experiment,
                                   const TaskGroup& group,
                                   const Batch& batch,
                                   std::map<std::string, Prediction>* predictions) {
  const std::vector<ExperimentTask>& tasks = experiment.tasks();
  const std::vector<std::size_t> present = group.present(batch, tasks);
  if (present.empty()) return {};
  std::map<std::string, Prediction> outputs;
  {
    const Autocast autocast(experiment.config().trainer.precision == "bfloat16", experiment.device());
    outputs = experiment.model().forward(batch, task_keys(present, tasks));
  }
  std::vector<TaskLoss> losses;
  for (const std::size_t index : present) {
    Prediction& prediction = outputs.at(tasks[index].key);
    prediction = in_float32(std::move(prediction));
    TaskLoss loss{index, tasks[index].task->losses(prediction, batch), {}, batch.ids};
    for (const LossTerm& term : loss.terms) loss.total = loss.total.defined() ? loss.total + term.value : term.value;
    if (loss.total.defined()) losses.push_back(std::move(loss));
  }
  if (predictions != nullptr) *predictions = std::move(outputs);
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
    for (TaskLoss& loss : group_losses(experiment_, *group, batch)) losses.push_back(std::move(loss));
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
