// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/report/arm_comparison.h"

#include <optional>
#include <string>
#include <vector>

namespace triptych {

/// What tasks do to each other when they train in pairs (Standley et al. 2020, "Which tasks should
/// be learned together in multi-task learning?").
struct TaskAffinity {
  std::vector<std::string> tasks;
  /// [task][companion]: relative change of the task's main metric against training alone, in
  /// percent, positive = better, mean over seeds; 0 on the diagonal.
  std::vector<std::vector<double>> gain;
  /// The partition of the tasks with the largest sum of gains, where a task in a larger group gains
  /// the mean of what its companions give it in pairs.
  std::vector<std::vector<std::string>> groups;
};

/// From the arms of two tasks; nothing unless there is one for every pair and the reference has
/// every task. At most eight tasks.
std::optional<TaskAffinity> task_affinity(const ArmComparison& comparison);

/// Rows: tasks; columns: companions; percent.
Table affinity_table(const TaskAffinity& affinity);
/// "{a, b}, {c}".
std::string groups_text(const TaskAffinity& affinity);

}  // namespace triptych
