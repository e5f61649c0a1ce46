// SPDX-License-Identifier: Apache-2.0
#include "framework/model/task_edges.h"

#include <algorithm>

namespace triptych {

namespace {

void add_once(std::vector<std::string>& tasks, const std::string& task) {
  if (std::find(tasks.begin(), tasks.end(), task) == tasks.end()) tasks.push_back(task);
}

}  // namespace

std::vector<std::string> TaskEdges::sources() const {
  std::vector<std::string> tasks;
  for (const std::string& task : reads_from) add_once(tasks, task);
  for (const auto& [role, task] : inputs) add_once(tasks, task);
  return tasks;
}

std::vector<std::string> TaskEdges::all_sources() const {
  std::vector<std::string> tasks = sources();
  for (const auto& [role, task] : feedback) add_once(tasks, task);
  return tasks;
}

}  // namespace triptych
