// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/learn/loss.h"
#include "framework/learn/task.h"

#include <memory>
#include <string>
#include <vector>

namespace triptych {

/// The weighted losses of a task, from a list such as `[{name: cross_entropy}, {name: dice, weight:
/// 0.5}]`.
class LossList {
 public:
  /// Schema errors of every element, for a task's `validate`.
  static void check(const std::vector<config::Node>& configs, config::Problems& problems);
  /// `configs` must not be empty and are expected to be checked.
  explicit LossList(const std::vector<config::Node>& configs);

  /// One term per loss, named as the loss, already weighted.
  std::vector<LossTerm> operator()(const at::Tensor& prediction,
                                   const at::Tensor& target,
                                   const LossContext& context) const;

 private:
  struct Item {
    std::string name;
    double weight;
    std::shared_ptr<Loss> loss;
  };
  std::vector<Item> items_;
};

}  // namespace triptych
