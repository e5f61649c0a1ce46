// SPDX-License-Identifier: Apache-2.0
#include "framework/learn/adversary_training.h"

#include "framework/core/error.h"
#include "framework/core/nn.h"
#include "framework/core/suggest.h"

#include <algorithm>
#include <cmath>

namespace triptych {
namespace {

constexpr const char* kOptimizerSuffix = "_optimizer";

/// Parameters of a module take no gradient while it lives.
class Frozen {
 public:
  explicit Frozen(torch::nn::Module& module) {
    for (at::Tensor& parameter : module.parameters()) {
      if (!parameter.requires_grad()) continue;
      parameter.set_requires_grad(false);
      parameters_.push_back(parameter);
    }
  }
  ~Frozen() {
    for (at::Tensor& parameter : parameters_) parameter.set_requires_grad(true);
  }
  Frozen(const Frozen&) = delete;
  Frozen& operator=(const Frozen&) = delete;

 private:
  std::vector<at::Tensor> parameters_;
};

NamedTensors trainable(const torch::nn::Module& module) {
  NamedTensors result;
  for (const auto& item : module.named_parameters()) {
    if (item.value().requires_grad()) result.emplace_back(item.key(), item.value());
  }
  return result;
}

Prediction detached(Prediction prediction) {
  prediction.value = prediction.value.detach();
  for (auto& [name, tensor] : prediction.extra) {
    if (tensor.defined()) tensor = tensor.detach();
  }
  return prediction;
}

template <class Outputs>
auto of_task(Outputs& outputs, std::size_t task) {
  return std::find_if(
      outputs.begin(), outputs.end(), [&](const auto& output) { return output.task == task; });
}

}  // namespace

AdversaryTraining::AdversaryTraining(Experiment& experiment,
                                     std::int64_t accumulate,
                                     DistributedContext& context)
    : experiment_(experiment), context_(context), scale_(1.0 / static_cast<double>(accumulate)) {
  for (std::size_t t = 0; t < experiment.tasks().size(); ++t) {
    const ExperimentTask& task = experiment.tasks()[t];
    if (task.adversary == nullptr) continue;
    opponents_.push_back({t,
                          "adversary_" + task.key,
                          Optimizer(task.adversary_setup.optimizer, trainable(*task.adversary))});
  }
}

Adversary& AdversaryTraining::adversary_of(const Opponent& opponent) const {
  return *experiment_.tasks()[opponent.task].adversary;
}

void AdversaryTraining::add_generator_terms(const std::vector<TaskOutput>& outputs,
                                            std::vector<TaskLoss>& losses) const {
  for (const Opponent& opponent : opponents_) {
    const auto output = of_task(outputs, opponent.task);
    if (output == outputs.end()) continue;
    auto loss = of_task(losses, opponent.task);
    if (loss == losses.end())
      loss = losses.insert(losses.end(), {opponent.task, {}, {}, output->batch.ids});
    const Frozen frozen(adversary_of(opponent));
    const double weight = experiment_.tasks()[opponent.task].adversary_setup.weight;
    const at::Tensor value =
        weight * adversary_of(opponent).generator_loss(output->prediction, output->batch);
    loss->terms.push_back({"adversary", value});
    loss->total = loss->total.defined() ? loss->total + value : value;
  }
}

std::vector<std::pair<std::string, at::Tensor>> AdversaryTraining::add_gradients(
    const std::vector<TaskOutput>& outputs, std::int64_t step) {
  std::vector<std::pair<std::string, at::Tensor>> losses;
  std::string fault;
  for (const Opponent& opponent : opponents_) {
    const auto output = of_task(outputs, opponent.task);
    if (output == outputs.end()) continue;
    const at::Tensor loss =
        adversary_of(opponent).own_loss(detached(output->prediction), output->batch);
    if (!std::isfinite(loss.item<double>())) {
      fault = fmt::format("task '{}': the adversary's own loss is not finite at step {}, items {}",
                          experiment_.tasks()[opponent.task].key,
                          step,
                          join(output->batch.ids));
      continue;
    }
    (loss * scale_).backward();
    losses.emplace_back("loss/" + experiment_.tasks()[opponent.task].key + "/adversary_own",
                        loss.detach());
  }
  const bool failed = !opponents_.empty() && context_.any(!fault.empty());
  if (!failed) return losses;
  if (fault.empty())
    fault = fmt::format("an adversary's own loss is not finite on another rank at step {}", step);
  throw numeric_error(fault, "checkpoints stay as they were; lower the adversary's optimizer.lr");
}

void AdversaryTraining::finish(std::int64_t step) {
  for (Opponent& opponent : opponents_) {
    average_gradients(context_, opponent.optimizer.parameters());
    if (std::isfinite(opponent.optimizer.clip_gradients(0.0))) continue;
    throw numeric_error(fmt::format("task '{}': the adversary's gradient is not finite at step {}",
                                    experiment_.tasks()[opponent.task].key,
                                    step),
                        "checkpoints stay as they were; lower the adversary's optimizer.lr");
  }
}

void AdversaryTraining::update(double factor) {
  for (Opponent& opponent : opponents_) {
    opponent.optimizer.step(factor);
    opponent.optimizer.zero_grad();
  }
}

std::vector<std::pair<std::string, NamedTensors>> AdversaryTraining::state() const {
  std::vector<std::pair<std::string, NamedTensors>> parts;
  for (const Opponent& opponent : opponents_) {
    parts.emplace_back(opponent.name, module_tensors(adversary_of(opponent), ""));
    parts.emplace_back(opponent.name + kOptimizerSuffix, opponent.optimizer.state());
  }
  return parts;
}

void AdversaryTraining::load(const std::filesystem::path& folder) {
  for (Opponent& opponent : opponents_) {
    const std::string place = (folder / (opponent.name + ".safetensors")).string();
    load_module(adversary_of(opponent), read_checkpoint_part(folder, opponent.name), "", place);
    opponent.optimizer.load(read_checkpoint_part(folder, opponent.name + kOptimizerSuffix));
  }
}

}  // namespace triptych
