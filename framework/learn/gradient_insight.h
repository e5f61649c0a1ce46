// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/core/safetensors.h"
#include "framework/learn/task_outputs.h"

#include <string>
#include <utility>
#include <vector>

namespace triptych {

/// How the tasks pull at the shared network: for every part of it, e.g. `column.encoder_0`, the
/// length of each task's gradient, "insight/norm/<task>/<part>", and the cosine between those of
/// each two tasks, "insight/cosine/<task>_<task>/<part>"; the part `all` is the whole.
///
/// `shared` are the parameters outside heads. Costs a backward pass a task and keeps the losses'
/// graph for the pass that follows. A cosine with a gradient of length 0 is left out.
std::vector<std::pair<std::string, double>> gradient_insight(
    const std::vector<TaskLoss>& losses,
    const std::vector<std::string>& task_keys,
    const NamedTensors& shared);

}  // namespace triptych
