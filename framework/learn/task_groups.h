// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/learn/experiment.h"

#include <memory>
#include <string>
#include <vector>

namespace triptych {

/// Tasks that share a batch and one forward pass: equal data set, sampling, transforms and batch
/// size, and no role that two of them bind to different entries.
struct TaskGroup {
  std::vector<std::size_t> tasks;  ///< indices into Experiment::tasks()
  Loader::Source
      source;  ///< roles of all of them; a role is required only where every task requires it
};

/// The task's roles, the one that carries an item's region before the others; targets on the grid
/// of the head's prediction.
std::vector<RoleBinding> bound_roles(const ExperimentTask& task);

enum class Phase { kTraining, kValidation, kTest };

/// True when two tasks draw the same items in the same batches, so that they can be in one group.
bool share_batches(const TaskSetup& a, const TaskSetup& b, Phase phase);

/// Groups of a phase. Training uses the split "train" and the configured sampling; validation and
/// test use the splits of their names, the validation's transforms, and neither class balancing nor
/// a smallest foreground. Tasks whose split is empty are left out of them; an empty training split
/// is a data_error. A task that reads from one of another group is a ConfigError.
std::vector<TaskGroup> make_task_groups(const Experiment& experiment, Phase phase);

/// Item numbers of `group` in the order of Sampler::all_items(limit), cut into batches of at most
/// source.batch_size items that have the same size and so can be stacked.
std::vector<std::vector<Item>> validation_batches(const TaskGroup& group, std::int64_t limit);

/// Keys of the tasks `indices`.
std::vector<std::string> task_keys(const std::vector<std::size_t>& indices,
                                   const std::vector<ExperimentTask>& all);

}  // namespace triptych
