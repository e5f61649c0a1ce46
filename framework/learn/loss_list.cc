// SPDX-License-Identifier: Apache-2.0
#include "framework/learn/loss_list.h"

#include <ATen/ATen.h>
#include <fmt/core.h>

namespace triptych {
namespace {

/// The weight belongs to the list, everything else to the loss.
config::Node without_weight(config::Node config) {
  config.erase("weight");
  return config;
}

}  // namespace

void LossList::check(const std::vector<config::Node>& configs, config::Problems& problems) {
  if (configs.empty()) problems.add("losses", "expects at least one loss, got an empty list");
  for (std::size_t i = 0; i < configs.size(); ++i) {
    const auto scope = problems.enter(fmt::format("losses.{}", i), configs[i]);
    if (configs[i].is_map()) {
      const config::Node* weight = configs[i].child("weight");
      if (weight != nullptr && !weight->is_double() && !weight->is_int()) {
        problems.add("weight", "expects a number, got " + weight->brief());
      }
    }
    LossRegistry::instance().check(without_weight(configs[i]), problems);
  }
}

LossList::LossList(const std::vector<config::Node>& configs) {
  for (const config::Node& config : configs) {
    const config::Node own = without_weight(config);
    items_.push_back({config.string_or("name", ""),
                      config.double_or("weight", 1.0),
                      LossRegistry::instance().create(own)});
  }
}

std::vector<LossTerm> LossList::operator()(const at::Tensor& prediction,
                                           const at::Tensor& target,
                                           const LossContext& context) const {
  std::vector<LossTerm> terms;
  for (const Item& item : items_) {
    terms.push_back({item.name, item.weight * (*item.loss)(prediction, target, context)});
  }
  return terms;
}

}  // namespace triptych
