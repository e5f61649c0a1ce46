// SPDX-License-Identifier: Apache-2.0
#include "framework/learn/training_step.h"

#include "framework/core/error.h"
#include "framework/core/log.h"
#include "framework/core/nn.h"
#include "framework/core/place.h"
#include "framework/core/shape.h"
#include "framework/learn/gradient_insight.h"

#include <algorithm>
#include <cmath>

namespace triptych {
namespace {

constexpr const char* kWeightingPrefix = "weighting.";
constexpr const char* kHeadPrefix = "head_";

/// The weighted loss of a step: a scalar that still depends on the losses.
at::Tensor combined(Weighting& weighting, const at::Tensor& losses, const at::Tensor& present) {
  return at_place("weighting", [&] {
    const at::Tensor total = weighting.combine(losses, present);
    check_shape(total, {}, "combined loss");
    if (losses.requires_grad() && !total.requires_grad())
      throw model_error("the combined loss does not depend on the losses: nothing would learn");
    return total;
  });
}

/// Says so when a task's losses cannot teach its network.
void warn_of_constants(const std::vector<TaskOutput>& outputs,
                       const std::vector<TaskLoss>& losses,
                       const std::vector<ExperimentTask>& tasks) {
  for (const TaskLoss& loss : losses) {
    const bool learns =
        loss.total.requires_grad() ||
        std::none_of(outputs.begin(), outputs.end(), [&](const TaskOutput& output) {
          return output.task == loss.task && output.prediction.value.requires_grad();
        });
    if (!learns)
      TRIPTYCH_LOG(
          warning,
          "task '{}': its losses do not depend on its prediction, nothing learns from them",
          tasks[loss.task].key);
  }
}

}  // namespace

NamedTensors trainable_parameters(Experiment& experiment) {
  NamedTensors result;
  for (const auto& item : experiment.model().named_parameters()) {
    if (item.value().requires_grad()) result.emplace_back(item.key(), item.value());
  }
  for (const auto& item : experiment.weighting().named_parameters()) {
    if (item.value().requires_grad())
      result.emplace_back(kWeightingPrefix + item.key(), item.value());
  }
  return result;
}

GradientStep::GradientStep(Experiment& experiment,
                           const NamedTensors& parameters,
                           std::int64_t accumulate,
                           DistributedContext& context)
    : experiment_(experiment),
      context_(context),
      adversaries_(experiment, accumulate, context),
      parameters_(parameters),
      scale_(1.0 / static_cast<double>(accumulate)) {
  for (const auto& [name, tensor] : parameters_) {
    shared_.push_back(!name.starts_with(kHeadPrefix) && !name.starts_with(kWeightingPrefix));
  }
  const auto count = static_cast<std::int64_t>(experiment.tasks().size());
  all_present_ =
      torch::ones({count}, torch::TensorOptions(torch::kBool).device(experiment.device()));
}

std::vector<TaskOutput> GradientStep::outputs_of(const GroupBatches& batches) {
  std::vector<TaskOutput> outputs;
  for (const auto& [group, batch] : batches) {
    for (TaskOutput& output : group_outputs(experiment_, *group, batch))
      outputs.push_back(std::move(output));
  }
  return outputs;
}

std::vector<TaskLoss> GradientStep::losses_of(const std::vector<TaskOutput>& outputs) const {
  std::vector<TaskLoss> losses = task_losses(experiment_, outputs);
  adversaries_.add_generator_terms(outputs, losses);
  return losses;
}

double GradientStep::add(const GroupBatches& batches, std::int64_t step) {
  const std::vector<TaskOutput> outputs = outputs_of(batches);
  const std::vector<TaskLoss> losses = losses_of(outputs);
  if (step == 0) warn_of_constants(outputs, losses, experiment_.tasks());
  note_terms(losses);
  note_insight(losses, step);
  const at::Tensor total = weighted(losses);
  const double value = checked_value(total, losses, step);
  if (experiment_.weighting().needs_jacobian()) {
    add_jacobian_rows(losses);
  } else if (total.defined() && total.requires_grad()) {
    (total * scale_).backward();
  }
  for (const auto& [tag, loss] : adversaries_.add_gradients(outputs, step)) note(tag, loss);
  return value;
}

/// The scalar of all losses; undefined when no task is present.
at::Tensor GradientStep::weighted(const std::vector<TaskLoss>& losses) {
  Weighting& weighting = experiment_.weighting();
  const bool shares = context_.ranks() > 1 && weighting.reads_loss_values();
  if (losses.empty() && !shares) return {};
  at::Tensor all = stacked(losses);
  if (weighting.needs_jacobian()) return all.sum();
  at::Tensor present = presence(losses);
  if (shares) share_values(all, present);
  return combined(weighting, all, present);
}

void GradientStep::share_values(at::Tensor& losses, at::Tensor& present) {
  std::vector<at::Tensor> means = {
      torch::where(present, losses.detach(), torch::zeros_like(losses)), present.to(torch::kFloat)};
  context_.average(means);
  present = means[1] > 0.0;
  const at::Tensor mean = torch::where(present, means[0] / means[1], torch::zeros_like(means[0]));
  losses = mean + (losses - losses.detach());
}

void GradientStep::look_back(const GroupBatches& batches) {
  const torch::NoGradGuard no_grad;
  const std::vector<TaskLoss> losses = losses_of(outputs_of(batches));
  at::Tensor all = stacked(losses), present = presence(losses);
  if (context_.ranks() > 1) share_values(all, present);
  experiment_.weighting().look_back(all, present);
}

double GradientStep::checked_value(const at::Tensor& total,
                                   const std::vector<TaskLoss>& losses,
                                   std::int64_t step) {
  const double value = total.defined() ? total.item<double>() : 0.0;
  const bool failed = context_.any(!std::isfinite(value));
  if (!std::isfinite(value)) {
    throw_if_not_finite(losses, experiment_, step);
    throw numeric_error(
        fmt::format("the weighted loss is {} at step {} although every term is finite",
                    not_finite_text(value),
                    step));
  }
  if (failed)
    throw numeric_error(fmt::format("the loss is not finite on another rank at step {}", step));
  std::vector<at::Tensor> mean = {torch::full({}, value, torch::kDouble)};
  context_.average(mean);
  return mean[0].item<double>();
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

std::vector<std::size_t> GradientStep::network_parameters() const {
  std::vector<std::size_t> result;
  for (std::size_t p = 0; p < parameters_.size(); ++p) {
    const auto& [name, tensor] = parameters_[p];
    if (!name.starts_with(kWeightingPrefix) && tensor.requires_grad()) result.push_back(p);
  }
  return result;
}

void GradientStep::allocate_jacobian() {
  if (jacobian_.defined()) return;
  std::int64_t size = 0;
  offsets_.clear();
  for (std::size_t p = 0; p < parameters_.size(); ++p) {
    offsets_.push_back(size);
    size += shared_[p] ? parameters_[p].second.numel() : 0;
  }
  const auto options = torch::TensorOptions(torch::kFloat).device(experiment_.device());
  jacobian_ = torch::zeros({all_present_.size(0), size}, options);
  loss_sums_ = torch::zeros({all_present_.size(0)}, options);
  loss_counts_ = torch::zeros_like(loss_sums_);
}

void GradientStep::add_jacobian_rows(const std::vector<TaskLoss>& losses) {
  const std::vector<std::size_t> learning = network_parameters();
  std::vector<at::Tensor> inputs;
  for (const std::size_t p : learning) inputs.push_back(parameters_[p].second);
  allocate_jacobian();
  for (std::size_t t = 0; t < losses.size(); ++t) {
    const bool keep_graph = t + 1 < losses.size();
    const auto gradients =
        torch::autograd::grad({losses[t].total * scale_}, inputs, {}, keep_graph, false, true);
    const torch::NoGradGuard no_grad;
    const auto task = static_cast<std::int64_t>(losses[t].task);
    at::Tensor row = jacobian_[task];
    loss_sums_[task] += losses[t].total.detach();
    loss_counts_[task] += 1.0;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (!gradients[i].defined()) continue;
      if (shared_[learning[i]]) {
        row.narrow(0, offsets_[learning[i]], inputs[i].numel()).add_(gradients[i].reshape({-1}));
      } else {
        at::Tensor& own = inputs[i].mutable_grad();
        own = own.defined() ? own + gradients[i] : gradients[i];
      }
    }
  }
}

void GradientStep::hand_over_jacobian() {
  allocate_jacobian();
  at::Tensor present = (loss_counts_ > 0.0).to(torch::kFloat);
  if (context_.ranks() > 1) {
    std::vector<at::Tensor> means = {jacobian_, present, loss_sums_, loss_counts_};
    context_.average(means);
    jacobian_ /= torch::where(present > 0.0, present, torch::ones_like(present)).unsqueeze(1);
  }
  const at::Tensor any_present = present > 0.0;
  const at::Tensor losses =
      loss_sums_ / torch::where(any_present, loss_counts_, torch::ones_like(loss_counts_));
  const at::Tensor jacobian = std::exchange(jacobian_, at::Tensor());
  if (!any_present.any().item<bool>()) return;
  const at::Tensor gradient = at_place("weighting", [&] {
    return experiment_.weighting().aggregate(jacobian, losses, any_present).detach();
  });
  check_shape(gradient, {jacobian.size(1)}, "gradient from the weighting");
  for (std::size_t p = 0; p < parameters_.size(); ++p) {
    at::Tensor& parameter = parameters_[p].second;
    if (!shared_[p] || !parameter.requires_grad()) continue;
    parameter.mutable_grad() =
        gradient.narrow(0, offsets_[p], parameter.numel()).view(parameter.sizes());
  }
}

void GradientStep::finish() {
  const bool by_task = experiment_.weighting().needs_jacobian();
  NamedTensors own;  // gradients that are this rank's alone
  for (std::size_t p = 0; p < parameters_.size(); ++p) {
    if (!by_task || !shared_[p]) own.push_back(parameters_[p]);
  }
  average_gradients(context_, own);
  if (by_task) hand_over_jacobian();
  // The same on every rank, so it joins after the averages.
  const at::Tensor penalty = experiment_.model().sharing().penalty();
  if (!penalty.defined() || !penalty.requires_grad()) return;  // none, or its weights are frozen
  penalty.backward();
  note("loss/sharing", penalty);
}

void GradientStep::note(const std::string& tag, const at::Tensor& value) {
  // Sums stay on the device: reading them here would make the GPU wait for every term of every
  // step.
  auto& [sum, count] = term_sums_[tag];
  sum = sum.defined() ? sum + value.detach() : value.detach();
  ++count;
}

void GradientStep::note_insight(const std::vector<TaskLoss>& losses, std::int64_t step) {
  const std::int64_t every = experiment_.config().trainer.insight_every;
  if (every == 0 || step % every != 0) return;
  NamedTensors shared;
  for (std::size_t p = 0; p < parameters_.size(); ++p) {
    if (shared_[p] && parameters_[p].second.requires_grad()) shared.push_back(parameters_[p]);
  }
  std::vector<std::string> keys;
  for (const ExperimentTask& task : experiment_.tasks()) keys.push_back(task.key);
  for (const auto& [tag, value] : gradient_insight(losses, keys, shared))
    note(tag, torch::full({}, value, torch::kDouble));
}

void GradientStep::note_terms(const std::vector<TaskLoss>& losses) {
  for (const TaskLoss& loss : losses) {
    const std::string tag = "loss/" + experiment_.tasks()[loss.task].key + "/";
    for (const LossTerm& term : loss.terms) note(tag + term.name, term.value);
    if (loss.terms.size() > 1) note(tag + "total", loss.total);
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
