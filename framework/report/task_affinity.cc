// SPDX-License-Identifier: Apache-2.0
#include "framework/report/task_affinity.h"

#include <algorithm>
#include <cmath>

#include <fmt/core.h>

namespace triptych {
namespace {

constexpr std::size_t kMostTasks = 8;

using Groups = std::vector<std::vector<std::size_t>>;

double gain_of(const TaskAffinity& affinity, const Groups& groups) {
  double total = 0.0;
  for (const auto& group : groups) {
    if (group.size() < 2) continue;
    for (const std::size_t task : group) {
      for (const std::size_t other : group)
        total += affinity.gain[task][other] / static_cast<double>(group.size() - 1);
    }
  }
  return total;
}

/// Every partition of the tasks from `next` on, added to `groups`; keeps the best in `best`, the
/// first of equal ones.
void search(
    const TaskAffinity& affinity, std::size_t next, Groups& groups, Groups& best, double& highest) {
  if (next == affinity.tasks.size()) {
    const double gain = gain_of(affinity, groups);
    if (!best.empty() && gain <= highest) return;
    best = groups;
    highest = gain;
    return;
  }
  groups.push_back({next});  // alone first: company has to pay
  search(affinity, next + 1, groups, best, highest);
  groups.pop_back();
  for (std::size_t g = 0; g < groups.size(); ++g) {
    groups[g].push_back(next);
    search(affinity, next + 1, groups, best, highest);
    groups[g].pop_back();
  }
}

}  // namespace

std::optional<TaskAffinity> task_affinity(const ArmComparison& comparison) {
  TaskAffinity affinity;
  affinity.tasks = comparison.tasks();
  const std::size_t count = affinity.tasks.size();
  if (count < 2 || count > kMostTasks) return std::nullopt;
  affinity.gain.assign(count, std::vector<double>(count, 0.0));
  for (std::size_t t = 0; t < count; ++t) {
    for (std::size_t u = t + 1; u < count; ++u) {
      const std::optional<std::string> arm =
          comparison.arm_of({affinity.tasks[t], affinity.tasks[u]});
      if (!arm) return std::nullopt;
      affinity.gain[t][u] = comparison.relative_gain(*arm, affinity.tasks[t]).mean;
      affinity.gain[u][t] = comparison.relative_gain(*arm, affinity.tasks[u]).mean;
      if (!std::isfinite(affinity.gain[t][u]) || !std::isfinite(affinity.gain[u][t]))
        return std::nullopt;
    }
  }
  Groups groups, best;
  double highest = 0.0;
  search(affinity, 0, groups, best, highest);
  for (const auto& group : best) {
    affinity.groups.emplace_back();
    for (const std::size_t task : group) affinity.groups.back().push_back(affinity.tasks[task]);
  }
  return affinity;
}

Table affinity_table(const TaskAffinity& affinity) {
  std::vector<std::string> columns = {"change % of \\ trained with"};
  columns.insert(columns.end(), affinity.tasks.begin(), affinity.tasks.end());
  Table table(columns, 2);
  for (std::size_t t = 0; t < affinity.tasks.size(); ++t) {
    std::vector<Table::Cell> row = {affinity.tasks[t]};
    for (std::size_t u = 0; u < affinity.tasks.size(); ++u)
      row.push_back(t == u ? Table::Cell() : Table::Cell(affinity.gain[t][u]));
    table.add_row(std::move(row));
  }
  return table;
}

std::string groups_text(const TaskAffinity& affinity) {
  std::string text;
  for (const auto& group : affinity.groups) {
    std::string inside;
    for (const std::string& task : group) inside += (inside.empty() ? "" : ", ") + task;
    text += fmt::format("{}{{{}}}", text.empty() ? "" : ", ", inside);
  }
  return text;
}

}  // namespace triptych
