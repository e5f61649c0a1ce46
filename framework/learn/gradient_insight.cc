// SPDX-License-Identifier: Apache-2.0
#include "framework/learn/gradient_insight.h"

#include "framework/core/nn.h"

#include <cmath>
#include <map>

#include <fmt/format.h>

namespace triptych {
namespace {

/// "sharing.column.encoder_0.conv.weight" -> "column.encoder_0", "stem_mri.weight" -> "stem_mri".
std::string part_of(const std::string& name) {
  const std::string prefix = "sharing.";
  if (!name.starts_with(prefix)) return name.substr(0, name.find('.'));
  const std::string rest = name.substr(prefix.size());
  const std::size_t first = rest.find('.');
  if (first == std::string::npos) return rest;
  return rest.substr(0, rest.find('.', first + 1));
}

/// Sums of products of two tasks' gradients, by part of the network; [task][task].
using Products = std::map<std::string, std::vector<std::vector<double>>>;

void add_products(Products& products,
                  const std::string& part,
                  const std::vector<at::Tensor>& gradients) {
  auto& sums = products[part];
  sums.resize(gradients.size(), std::vector<double>(gradients.size(), 0.0));
  for (std::size_t a = 0; a < gradients.size(); ++a) {
    for (std::size_t b = a; b < gradients.size(); ++b) {
      if (!gradients[a].defined() || !gradients[b].defined()) continue;
      const at::Tensor left = gradients[a].reshape({-1}).to(torch::kDouble);
      sums[a][b] += left.dot(gradients[b].reshape({-1}).to(torch::kDouble)).item<double>();
    }
  }
}

}  // namespace

std::vector<std::pair<std::string, double>> gradient_insight(
    const std::vector<TaskLoss>& losses,
    const std::vector<std::string>& task_keys,
    const NamedTensors& shared) {
  std::vector<at::Tensor> inputs;
  for (const auto& [name, tensor] : shared) inputs.push_back(tensor);
  std::vector<std::vector<at::Tensor>> gradients;  // [task][parameter]
  for (const TaskLoss& loss : losses) {
    gradients.emplace_back(inputs.size());
    if (!inputs.empty() && loss.total.requires_grad())
      gradients.back() = torch::autograd::grad({loss.total}, inputs, {}, true, false, true);
  }
  Products products;
  for (std::size_t p = 0; p < shared.size(); ++p) {
    std::vector<at::Tensor> of_tasks;
    for (const auto& own : gradients) of_tasks.push_back(own[p]);
    add_products(products, part_of(shared[p].first), of_tasks);
    add_products(products, "all", of_tasks);
  }
  std::vector<std::pair<std::string, double>> values;
  for (const auto& [part, sums] : products) {
    for (std::size_t a = 0; a < losses.size(); ++a) {
      const std::string& first = task_keys[losses[a].task];
      values.emplace_back(fmt::format("insight/norm/{}/{}", first, part), std::sqrt(sums[a][a]));
      for (std::size_t b = a + 1; b < losses.size(); ++b) {
        const double lengths = std::sqrt(sums[a][a] * sums[b][b]);
        if (!(lengths > 0.0)) continue;
        values.emplace_back(
            fmt::format("insight/cosine/{}_{}/{}", first, task_keys[losses[b].task], part),
            sums[a][b] / lengths);
      }
    }
  }
  return values;
}

}  // namespace triptych
