// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/config/fields.h"
#include "framework/learn/task_groups.h"

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <torch/nn/module.h>

namespace triptych {

/// What learns in the steps before the next stage of a training.
class TrainingStages {
 public:
  /// `groups` are those of the whole experiment. Throws ConfigError for tasks and beginnings of
  /// parameter names that there are not, and for stages that do not follow one another.
  TrainingStages(Experiment& experiment, std::vector<TaskGroup> groups);

  /// Lets learn what is to learn at `step`: parameters that are frozen get no gradient, and modules
  /// of which every parameter is frozen keep their running statistics. Returns true when groups()
  /// is now another one than before the call.
  bool enter(std::int64_t step);
  /// The groups of the tasks that learn, without the others.
  const std::vector<TaskGroup>& groups() const { return active_; }

 private:
  std::size_t stage_of(std::int64_t step) const;
  void check() const;
  void check_tasks(const std::vector<std::string>& named, const std::string& key) const;
  void freeze(const std::vector<std::string>& beginnings);
  void keep_statistics();

  Experiment& experiment_;
  std::vector<TaskGroup> all_;
  std::vector<TaskGroup> active_;
  std::set<std::string> fixed_;  ///< parameters that a component keeps from learning
  std::vector<std::shared_ptr<torch::nn::Module>> frozen_modules_;
  std::size_t entered_;
};

}  // namespace triptych
