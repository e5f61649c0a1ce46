// SPDX-License-Identifier: Apache-2.0
#include "framework/app/composed.h"
#include "framework/app/engine.h"
#include "framework/core/error.h"
#include "framework/learn/experiment.h"
#include "framework/learn/experiment_check.h"

#include <cstdio>

#include <nlohmann/json.hpp>

namespace triptych::app {
namespace {

std::int64_t parameter_count(const torch::nn::Module& module) {
  std::int64_t count = 0;
  for (const at::Tensor& parameter : module.parameters()) count += parameter.numel();
  return count;
}

/// The model of a configuration without its data sets: one input channel, classes as the heads
/// state them.
MultiTaskModel build_model(const config::Node& resolved) {
  const auto config = config::read<ExperimentConfig>(resolved);
  MultiTaskModel::Config model;
  model.backbone = config.backbone;
  model.sharing = config.sharing;
  model.channels = {{"", 1}};
  model.modality_stems = config.stems == "convolution";
  model.rounds = config.rounds;
  for (const auto& [key, node] : config.tasks) {
    const auto setup = config::read<TaskSetup>(split_task(node).setup, "tasks." + key);
    model.tasks.push_back({key, setup.head, setup.edges});
  }
  return MultiTaskModel(model);
}

std::string axes_text(const std::array<std::int64_t, 3>& sizes) {
  return fmt::format("{} x {} x {}", sizes[0], sizes[1], sizes[2]);
}

}  // namespace

int summary(const CommandLine& command) {
  const config::Node resolved = compose_resolved(command);
  Experiment::check(resolved);
  MultiTaskModel model = build_model(resolved);
  const Backbone& column = model.column();
  const std::array<std::int64_t, 3> size =
      column.slab() == 0 ? std::array<std::int64_t, 3>{96, 96, 96}
                         : std::array<std::int64_t, 3>{column.slab(), 256, 256};
  const BackboneCost cost = column.cost(size);
  const auto tasks = static_cast<std::int64_t>(model.tasks().size());
  const double gigabyte = 1e-9;

  nlohmann::ordered_json json;
  json["parameters"] = parameter_count(model);
  json["parameters_backbone"] = parameter_count(column);
  for (const std::string& task : model.tasks())
    json["parameters_head"][task] = parameter_count(model.head(task));
  json["input_size"] = size;
  json["multiply_adds"] = cost.multiply_adds;
  json["activation_bytes"] = cost.activation_bytes;
  json["receptive_field_bottleneck"] = cost.bottleneck_receptive_field;
  json["receptive_field_output"] = cost.output_receptive_field;
  json["column_passes_per_image"] = model.sharing().column_passes(tasks);
  if (command.json) {
    std::printf("%s\n", json.dump(2).c_str());
    return 0;
  }
  std::printf("parameters             %.2f M (backbone %.2f M)\n",
              1e-6 * static_cast<double>(parameter_count(model)),
              1e-6 * static_cast<double>(parameter_count(column)));
  for (const std::string& task : model.tasks()) {
    std::printf("  head of %-12s %lld\n",
                task.c_str(),
                static_cast<long long>(parameter_count(model.head(task))));
  }
  std::printf("for an input of        %s voxels\n", axes_text(size).c_str());
  std::printf("multiply-adds          %.2f G\n",
              gigabyte * static_cast<double>(cost.multiply_adds));
  std::printf("activations, training  %.2f GB (float32, one image)\n",
              gigabyte * static_cast<double>(cost.activation_bytes));
  std::printf("receptive field        %s at the bottleneck, %s of an output voxel\n",
              axes_text(cost.bottleneck_receptive_field).c_str(),
              axes_text(cost.output_receptive_field).c_str());
  const std::int64_t passes = model.sharing().column_passes(tasks);
  std::printf("sharing                %lld column pass%s for %lld task%s with separate inputs\n",
              static_cast<long long>(passes),
              passes == 1 ? "" : "es",
              static_cast<long long>(tasks),
              tasks == 1 ? "" : "s");
  std::printf("pyramid\n");
  for (const StageSpec& stage : column.stages()) {
    if (stage.pyramid_level < 0) continue;
    std::printf("  level %-2lld %-12s %5lld channels, stride %s\n",
                static_cast<long long>(stage.pyramid_level),
                stage.name.c_str(),
                static_cast<long long>(stage.channels),
                axes_text(stage.stride).c_str());
  }
  return 0;
}

}  // namespace triptych::app
