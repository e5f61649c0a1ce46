// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/config/fields.h"

#include <string>
#include <vector>

namespace triptych {

/// `tasks.<name>` taken apart: keys of TaskSetup are the framework's, all others (`name` included)
/// the task component's.
struct TaskNodes {
  config::Node setup;
  config::Node component;
};
TaskNodes split_task(const config::Node& task);
/// `tasks.<name>.adversary` likewise: keys of AdversarySetup, and the adversary component's.
TaskNodes split_adversary(const config::Node& adversary);

/// Task keys in an order in which each comes after those it reads from, by name otherwise. A cycle
/// is broken at its first task; `cyclic`, when not null, receives the tasks on cycles.
std::vector<std::string> task_order(
    const std::map<std::string, std::vector<std::string>>& reads_from,
    std::vector<std::string>* cyclic = nullptr);

}  // namespace triptych
