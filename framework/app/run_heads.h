// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/app/register_config.h"
#include "framework/app/trained_task.h"

#include <string>
#include <vector>

namespace triptych::app {

/// A task of a run and the name of its head.
struct TaskHead {
  std::string task, head;
};

/// The tasks of the key `run` with one of `heads`, or of these only the key `task`. Throws
/// usage_error for a task that the run does not have.
std::vector<TaskHead> tasks_with_heads(const RegisterKeys& keys,
                                       const std::vector<std::string>& heads);

/// The only one of them. Throws model_error with `hint` for none, usage_error for several.
TaskHead task_with_head(const RegisterKeys& keys,
                        const std::vector<std::string>& heads,
                        const std::string& hint);

/// That task, ready to predict from one image of one channel for each of `roles`, planar or
/// volumes. Throws model_error for what reads anything else.
TrainedTask open_image_task(const RegisterKeys& keys,
                            const TaskHead& chosen,
                            const std::vector<std::string>& roles,
                            bool planar);

/// The values [C, D, H, W] of an image as those that the task was trained on: percentiles are
/// brought to them.
at::Tensor network_values(const TrainedTask& trained, const at::Tensor& image);

}  // namespace triptych::app
