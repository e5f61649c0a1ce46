// SPDX-License-Identifier: Apache-2.0
#include "framework/app/run_heads.h"

#include "framework/app/input_volume.h"
#include "framework/core/error.h"
#include "framework/core/suggest.h"

#include <algorithm>

#include <ATen/ATen.h>

namespace triptych::app {

std::vector<TaskHead> tasks_with_heads(const RegisterKeys& keys,
                                       const std::vector<std::string>& heads) {
  const config::Node resolved = read_resolved(keys.run);
  const config::Node& tasks = resolved.at("tasks");
  if (!keys.task.empty() && tasks.child(keys.task) == nullptr) {
    throw usage_error(
        fmt::format(
            "task: the run has no task '{}'{}", keys.task, did_you_mean(keys.task, tasks.keys())),
        "it has: " + join(tasks.keys()));
  }
  std::vector<TaskHead> found;
  for (const config::Entry& entry : tasks.as_map()) {
    const std::string key = entry.key.text(), head = entry.value.string_or("head.name", "");
    if (!keys.task.empty() && key != keys.task) continue;
    if (std::find(heads.begin(), heads.end(), head) != heads.end()) found.push_back({key, head});
  }
  return found;
}

TaskHead task_with_head(const RegisterKeys& keys,
                        const std::vector<std::string>& heads,
                        const std::string& hint) {
  const std::vector<TaskHead> found = tasks_with_heads(keys, heads);
  if (found.size() == 1) return found.front();
  if (found.empty()) {
    const config::Node resolved = read_resolved(keys.run);
    std::vector<std::string> others;
    for (const config::Entry& entry : resolved.at("tasks").as_map())
      others.push_back(entry.value.string_or("head.name", "?"));
    throw model_error(fmt::format("{}: expected a run with {} {}, got {}",
                                  keys.run,
                                  heads.size() == 1 ? "the head" : "one of the heads",
                                  join(heads),
                                  join(others)),
                      hint);
  }
  std::vector<std::string> names;
  for (const TaskHead& candidate : found) names.push_back(candidate.task);
  throw usage_error(
      fmt::format("task: several tasks of the run could be meant; name one of: {}", join(names)));
}

TrainedTask open_image_task(const RegisterKeys& keys,
                            const TaskHead& chosen,
                            const std::vector<std::string>& roles,
                            bool planar) {
  TrainedTask trained = open_task(keys.run, keys.checkpoint, chosen.task, "", {});
  for (const InputRole& input : trained.inputs) {
    const bool known = std::find(roles.begin(), roles.end(), input.role) != roles.end();
    if (known && input.channels == 1) continue;
    throw model_error(
        fmt::format("{}: expected a task that reads {} {} of one channel, got {} of {}",
                    keys.run,
                    roles.size() == 1 ? "the role" : "the roles",
                    join(roles),
                    input.role,
                    input.channels));
  }
  if ((trained.experiment->model().column().slab() == 1) != planar) {
    throw model_error(fmt::format("{}: expected a backbone of {} for these images, got one of {}",
                                  keys.run,
                                  planar ? "slices" : "volumes",
                                  planar ? "volumes" : "slices"),
                      fmt::format("train with backbone.dimensions={}", planar ? 2 : 3));
  }
  return trained;
}

at::Tensor network_values(const TrainedTask& trained, const at::Tensor& image) {
  // Made-up images, which need no harmonising, lie between 0 and 1, where percentiles bring others
  // too.
  HarmoniseConfig harmonise;
  if (const auto own = stored_harmonise(trained.experiment->node(), trained.task().setup.dataset))
    harmonise = *own;
  harmonise.spacing_mm.clear();
  const BlockSource whole = [&](const auto& block) { block(image); };
  return measured_intensity_map(whole, harmonise, "image").apply(image);
}

}  // namespace triptych::app
