// SPDX-License-Identifier: Apache-2.0
#include "framework/learn/optimizer.h"

#include "framework/core/error.h"
#include "framework/core/suggest.h"
#include "framework/learn/optimizer_loops.h"

#include <cmath>
#include <map>
#include <set>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

namespace triptych {
namespace {

constexpr std::int64_t kGrain = 32768;  // elements a thread takes at once

/// True when the update may walk through memory: float32 on the CPU without gaps, whatever the
/// order of the axes.
bool is_plain_memory(const at::Tensor& parameter) {
  return parameter.is_cpu() && parameter.scalar_type() == at::kFloat &&
         parameter.is_non_overlapping_and_dense();
}

/// The gradient with the parameter's strides.
at::Tensor laid_out_like(const at::Tensor& gradient, const at::Tensor& parameter) {
  if (gradient.strides() == parameter.strides()) return gradient;
  return at::empty_like(parameter).copy_(gradient);
}

AdamCoefficients adam_coefficients(const OptimizerConfig& config, std::int64_t step, double lr) {
  const auto t = static_cast<double>(step);
  AdamCoefficients c;
  c.beta1 = static_cast<float>(config.betas[0]);
  c.beta2 = static_cast<float>(config.betas[1]);
  c.rest1 = static_cast<float>(1.0 - config.betas[0]);
  c.rest2 = static_cast<float>(1.0 - config.betas[1]);
  c.epsilon = static_cast<float>(config.epsilon);
  c.step_size = static_cast<float>(lr / (1.0 - std::pow(config.betas[0], t)));
  c.second_correction = static_cast<float>(std::sqrt(1.0 - std::pow(config.betas[1], t)));
  c.l2_penalty = config.name == "adam" ? static_cast<float>(config.weight_decay) : 0.0F;
  c.shrink = config.name == "adamw" ? static_cast<float>(1.0 - lr * config.weight_decay) : 1.0F;
  return c;
}

/// "sharing.column.decoder_0.weight" -> "sharing.", as a suggestion.
std::vector<std::string> beginnings(const NamedTensors& parameters) {
  std::set<std::string> found;
  for (const auto& [name, tensor] : parameters) found.insert(name.substr(0, name.find('.') + 1));
  return {found.begin(), found.end()};
}

/// The factor of every parameter on the learning rate.
std::vector<double> rates_of(const std::map<std::string, double>& rates,
                             const NamedTensors& parameters) {
  std::vector<double> result;
  std::set<std::string> used;
  for (const auto& [name, tensor] : parameters) {
    std::size_t longest = 0;
    result.push_back(1.0);
    for (const auto& [beginning, rate] : rates) {
      if (!name.starts_with(beginning)) continue;
      used.insert(beginning);
      if (beginning.size() < longest) continue;
      longest = beginning.size();
      result.back() = rate;
    }
  }
  for (const auto& [beginning, rate] : rates) {
    if (used.contains(beginning)) continue;
    throw ConfigError(
        "schema",
        fmt::format("optimizer.rates: no trainable parameter's name begins with '{}'", beginning),
        "names begin with " + join(beginnings(parameters)));
  }
  return result;
}

}  // namespace

Optimizer::Optimizer(OptimizerConfig config, NamedTensors parameters)
    : config_(std::move(config)),
      parameters_(std::move(parameters)),
      rates_(rates_of(config_.rates, parameters_)),
      slots_(parameters_.size()) {}

void Optimizer::allocate(Slot& slot, const at::Tensor& parameter) const {
  const bool needs_first = is_adam() || config_.momentum > 0.0;
  if (needs_first && !slot.first.defined()) slot.first = at::zeros_like(parameter.detach());
  if (is_adam() && !slot.second.defined()) slot.second = at::zeros_like(parameter.detach());
}

void Optimizer::step(double factor) {
  const at::NoGradGuard no_grad;
  std::map<std::pair<std::int64_t, double>, Bundle> bundles;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    at::Tensor& parameter = parameters_[i].second;
    if (!parameter.grad().defined()) continue;
    Slot& slot = slots_[i];
    allocate(slot, parameter);
    ++slot.step;
    const double lr = config_.lr * factor * rates_[i];
    const at::Tensor gradient = laid_out_like(parameter.grad(), parameter);
    if (is_plain_memory(parameter)) {
      update_in_place(parameter, gradient, slot, lr);
      continue;
    }
    Bundle& bundle = bundles[{slot.step, lr}];
    bundle.parameters.push_back(parameter);
    bundle.gradients.push_back(gradient);
    if (slot.first.defined()) bundle.first.push_back(slot.first);
    if (slot.second.defined()) bundle.second.push_back(slot.second);
  }
  for (auto& [count_and_lr, bundle] : bundles) {
    const auto [count, lr] = count_and_lr;
    if (is_adam()) {
      update_adam(bundle, count, lr);
    } else {
      update_sgd(bundle, count, lr);
    }
  }
}

void Optimizer::update_in_place(at::Tensor& parameter,
                                const at::Tensor& gradient,
                                Slot& slot,
                                double lr) const {
  auto* weight = parameter.data_ptr<float>();
  const auto* slope = gradient.data_ptr<float>();
  auto* first = slot.first.defined() ? slot.first.data_ptr<float>() : nullptr;
  if (is_adam()) {
    auto* second = slot.second.data_ptr<float>();
    const AdamCoefficients c = adam_coefficients(config_, slot.step, lr);
    at::parallel_for(0, parameter.numel(), kGrain, [&](std::int64_t begin, std::int64_t end) {
      adam_update(weight + begin, slope + begin, first + begin, second + begin, end - begin, c);
    });
    return;
  }
  const SgdCoefficients c{.lr = static_cast<float>(lr),
                          .momentum = static_cast<float>(config_.momentum),
                          .l2_penalty = static_cast<float>(config_.weight_decay),
                          .nesterov = config_.nesterov,
                          .first = slot.step == 1};
  at::parallel_for(0, parameter.numel(), kGrain, [&](std::int64_t begin, std::int64_t end) {
    sgd_update(
        weight + begin, slope + begin, first == nullptr ? nullptr : first + begin, end - begin, c);
  });
}

void Optimizer::update_adam(Bundle& bundle, std::int64_t step, double lr) const {
  const double beta1 = config_.betas[0];
  const double beta2 = config_.betas[1];
  const auto t = static_cast<double>(step);
  std::vector<at::Tensor> slopes = bundle.gradients;
  if (config_.weight_decay > 0.0) {
    if (config_.name == "adamw") {
      at::_foreach_mul_(bundle.parameters, 1.0 - lr * config_.weight_decay);
    } else {
      slopes = at::_foreach_add(bundle.gradients, bundle.parameters, config_.weight_decay);
    }
  }
  at::_foreach_mul_(bundle.first, beta1);
  at::_foreach_add_(bundle.first, slopes, 1.0 - beta1);
  at::_foreach_mul_(bundle.second, beta2);
  at::_foreach_addcmul_(bundle.second, slopes, slopes, 1.0 - beta2);
  std::vector<at::Tensor> root = at::_foreach_sqrt(bundle.second);
  at::_foreach_div_(root, std::sqrt(1.0 - std::pow(beta2, t)));
  at::_foreach_add_(root, config_.epsilon);
  at::_foreach_addcdiv_(bundle.parameters, bundle.first, root, -lr / (1.0 - std::pow(beta1, t)));
}

void Optimizer::update_sgd(Bundle& bundle, std::int64_t step, double lr) const {
  std::vector<at::Tensor> slopes = bundle.gradients;
  if (config_.weight_decay > 0.0) {
    slopes = at::_foreach_add(bundle.gradients, bundle.parameters, config_.weight_decay);
  }
  if (config_.momentum > 0.0) {
    at::_foreach_mul_(bundle.first, step == 1 ? 0.0 : config_.momentum);
    at::_foreach_add_(bundle.first, slopes, 1.0);
    slopes =
        config_.nesterov ? at::_foreach_add(slopes, bundle.first, config_.momentum) : bundle.first;
  }
  at::_foreach_add_(bundle.parameters, slopes, -lr);
}

void Optimizer::zero_grad() {
  for (auto& [name, parameter] : parameters_) parameter.mutable_grad() = at::Tensor();
}

double Optimizer::clip_gradients(double max_norm) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> gradients;
  for (const auto& [name, parameter] : parameters_) {
    if (parameter.grad().defined()) gradients.push_back(parameter.grad());
  }
  if (gradients.empty()) return 0.0;
  const std::vector<at::Tensor> norms = at::_foreach_norm(gradients, 2.0);
  const double norm = at::norm(at::stack(norms).to(at::kDouble)).item<double>();
  // The small term is LibTorch's clip_grad_norm_, so that results can be compared.
  if (max_norm > 0.0 && std::isfinite(norm) && norm > max_norm)
    at::_foreach_mul_(gradients, max_norm / (norm + 1e-6));
  return norm;
}

NamedTensors Optimizer::state() const {
  NamedTensors result;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const std::string& name = parameters_[i].first;
    const Slot& slot = slots_[i];
    if (slot.first.defined())
      result.emplace_back(name + (is_adam() ? ".exp_avg" : ".momentum"), slot.first);
    if (slot.second.defined()) result.emplace_back(name + ".exp_avg_sq", slot.second);
    result.emplace_back(name + ".step", at::full({1}, slot.step, at::TensorOptions(at::kLong)));
  }
  return result;
}

void Optimizer::load(const SafeTensors& state) {
  std::map<std::string, at::Tensor> given(state.tensors.begin(), state.tensors.end());
  std::vector<std::string> faults;
  const auto take = [&](const std::string& name, at::IntArrayRef shape) {
    const auto found = given.find(name);
    if (found == given.end()) {
      faults.push_back(fmt::format("'{}' is missing", name));
      return at::Tensor();
    }
    at::Tensor tensor = found->second;
    given.erase(found);
    if (tensor.sizes() == shape) return tensor;
    faults.push_back(fmt::format("'{}' has another shape", name));
    return at::Tensor();
  };
  std::vector<Slot> slots(parameters_.size());
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const auto& [name, parameter] = parameters_[i];
    const at::Tensor step = take(name + ".step", {1});
    if (!step.defined()) continue;
    slots[i].step = step.item<std::int64_t>();
    if (slots[i].step == 0) continue;
    allocate(slots[i], parameter);
    const at::NoGradGuard no_grad;
    for (auto [suffix, target] : {std::pair(is_adam() ? ".exp_avg" : ".momentum", &slots[i].first),
                                  std::pair(".exp_avg_sq", &slots[i].second)}) {
      if (!target->defined()) continue;
      const at::Tensor saved = take(name + suffix, parameter.sizes());
      if (saved.defined()) target->copy_(saved);
    }
  }
  for (const auto& [name, tensor] : given) faults.push_back(fmt::format("'{}' is unknown", name));
  if (!faults.empty()) {
    const std::size_t count = faults.size();
    if (count > 5) faults.resize(5);
    throw model_error(fmt::format("optimiser state does not fit '{}': {}{}",
                                  config_.name,
                                  join(faults),
                                  count > 5 ? fmt::format(" and {} more", count - 5) : ""),
                      "the checkpoint is of another model or another optimiser");
  }
  slots_ = std::move(slots);
}

}  // namespace triptych
