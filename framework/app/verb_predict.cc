// SPDX-License-Identifier: Apache-2.0
#include "framework/app/engine.h"
#include "framework/app/input_volume.h"
#include "framework/app/quality_record.h"
#include "framework/app/run_files.h"
#include "framework/app/trained_task.h"
#include "framework/config/fields.h"
#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/core/suggest.h"
#include "framework/image/resample.h"

#include <algorithm>
#include <cstdio>

#include <ATen/ATen.h>

namespace triptych::app {
namespace fs = std::filesystem;
namespace {

struct PredictConfig {
  std::string run;
  std::string task;
  std::string checkpoint = "best";
  std::map<std::string, std::string> input;
  std::string output;
  std::vector<double> spacing;
  std::string device;
  std::int64_t threads = 0;
  config::Node infer;

  void visit(auto& field) {
    field("run", run, "run directory of a training", config::Need::kRequired);
    field("task", task, "task of the run; may be left out when there is one");
    field("checkpoint", checkpoint, "which weights", config::OneOf{"best", "last"});
    field("input",
          input,
          "input.<role>=<file> for each image that the task reads, e.g. input.image: any readable "
          "volume, a folder of slices, or file.h5:/dataset",
          config::Need::kRequired);
    field("output",
          output,
          "file for the labels or the predicted image, or a folder for everything in infer.outputs",
          config::Need::kRequired);
    field("spacing", spacing, "voxel size in mm [x, y, z] for files that state none");
    field("device", device, "device; empty = as in training");
    field("threads", threads, "threads; 0 = all cores", config::AtLeast{0});
    field("infer",
          infer,
          "keys of the group `infer` that differ from the training's, e.g. infer.planes=9");
  }
  void validate(config::Problems& problems) const {
    if (!spacing.empty() && spacing.size() != 3)
      problems.add("spacing", "expects three values [x, y, z] in mm");
  }
};

/// Carries a map on the working grid back to the grid of the input file (or the finer one over it).
/// Resampling needs the map in memory.
VolumeSource on_file_grid(const VolumeSource& map,
                          const Geometry& original,
                          Interpolation interpolation) {
  if (same_grid(map.geometry, original)) return map;
  const Volume volume{all_voxels(map), map.geometry, "", {}};
  return source_of(resample(volume, original, interpolation));
}

/// Values of a store, taken back through `grey_values` (its bounds aside) to those of the file.
VolumeSource file_values(const VolumeStore& store,
                         const Geometry& grid,
                         const IntensityMap& grey_values) {
  return {grid,
          store.channels(),
          at::kFloat,
          [&store, grey_values](std::int64_t channel, const Region& region) {
            const at::Tensor values = store.read(region, channel).to(at::kFloat);
            if (grey_values.is_identity()) return values;
            return (values - grey_values.offset) / grey_values.scale;
          }};
}

VolumeSource stored_values(const VolumeStore& store, const Geometry& grid) {
  return {grid, store.channels(), at::kFloat, [&store](std::int64_t channel, const Region& region) {
            return store.read(region, channel).to(at::kFloat);
          }};
}

/// One channel that `map` [K, d, h, w] -> [1, d, h, w] makes of the channels of a store.
VolumeSource derived(const VolumeStore& store,
                     const InputVolume& input,
                     at::Tensor (*map)(const at::Tensor&)) {
  return {input.geometry, 1, at::kFloat, [&store, map](std::int64_t, const Region& region) {
            return map(store.read(region))[0];
          }};
}

/// Class indices as the values that label files of this class table hold.
at::Tensor class_values(const at::Tensor& indices, const ClassTable& classes) {
  bool identity = true;
  std::vector<std::int64_t> values;
  for (std::size_t i = 0; i < classes.classes.size(); ++i) {
    values.push_back(classes.classes[i].value);
    identity = identity && classes.classes[i].value == static_cast<std::int64_t>(i);
  }
  return identity
             ? indices
             : at::tensor(values).index_select(0, indices.flatten().to(at::kLong)).view_as(indices);
}

/// The images that the task reads, from the files that were given for its roles.
std::map<std::string, InputVolume> read_inputs(const PredictConfig& config,
                                               const TrainedTask& trained,
                                               MemoryBudget& budget) {
  std::vector<std::string> roles;
  for (const InputRole& input : trained.inputs) roles.push_back(input.role);
  for (const auto& [role, file] : config.input) {
    if (std::find(roles.begin(), roles.end(), role) != roles.end()) continue;
    throw usage_error(fmt::format("input.{}: task '{}' reads no such role{}",
                                  role,
                                  trained.key,
                                  did_you_mean(role, roles)),
                      "it reads: " + join(roles));
  }
  ReadOptions options;
  if (!config.spacing.empty())
    options.spacing_mm = Eigen::Vector3d(config.spacing[0], config.spacing[1], config.spacing[2]);
  const HarmoniseConfig harmonise =
      harmonise_of(trained.experiment->node(), trained.task().setup.dataset);
  std::map<std::string, InputVolume> volumes;
  for (const InputRole& input : trained.inputs) {
    const auto file = config.input.find(input.role);
    if (file == config.input.end()) {
      throw usage_error(fmt::format("input: task '{}' reads the roles {}; '{}' is missing",
                                    trained.key,
                                    join(roles),
                                    input.role),
                        fmt::format("input.{}=<file>", input.role));
    }
    volumes.emplace(
        input.role,
        read_input(file->second, options, harmonise, input.channels, budget, trained.scratch()));
  }
  return volumes;
}

void write_maps(const fs::path& folder,
                const std::vector<std::string>& outputs,
                const FusedVolume& fused,
                const InputVolume& input) {
  const auto wanted = [&](const char* name) {
    return std::find(outputs.begin(), outputs.end(), name) != outputs.end();
  };
  const auto write = [&](const char* name, const VolumeSource& map) {
    write_volume((folder / (std::string(name) + ".nii.gz")).string(),
                 on_file_grid(map, input.original, Interpolation::kLinear));
  };
  if (wanted("probabilities"))
    write("probabilities", stored_values(*fused.probabilities, input.geometry));
  if (wanted("entropy")) write("entropy", derived(*fused.probabilities, input, normalised_entropy));
  if (wanted("disagreement"))
    write("disagreement", derived(*fused.votes, input, plane_disagreement));
}

void write_classes(const PredictConfig& config,
                   const TrainedTask& trained,
                   const FusedVolume& fused,
                   const InputVolume& input) {
  const ClassTable& classes = trained.task().task->context().classes;
  const VolumeSource indices{
      input.geometry, 1, at::kLong, [&](std::int64_t channel, const Region& region) {
        return class_values(fused.labels->read(region, channel), classes);
      }};
  const VolumeSource labels = on_file_grid(indices, input.original, Interpolation::kNearest);
  if (!file_extension(config.output).empty()) {
    write_labels(config.output, labels, classes);
    return;
  }
  const fs::path folder = config.output;
  write_labels((folder / "labels.nii.gz").string(), labels, classes);
  write_maps(folder, trained.infer().outputs, fused, input);
}

void write_values(const PredictConfig& config,
                  const TrainedTask& trained,
                  const VolumeStore& values,
                  const InputVolume& input) {
  const bool to_file = !file_extension(config.output).empty();
  const std::string file =
      to_file ? config.output : (fs::path(config.output) / "prediction.nii.gz").string();
  const bool is_input_made_better = trained.task().task->keeps_grey_values();
  const IntensityMap grey_values = is_input_made_better ? input.grey_values : IntensityMap{};
  const VolumeSource source =
      file_values(values, trained.prediction_grid(input.geometry), grey_values);
  write_volume(
      file, on_file_grid(source, trained.prediction_grid(input.original), Interpolation::kLinear));
  if (is_input_made_better) {
    write_quality(file,
                  trained,
                  {*input.store, file_values(*input.store, input.geometry, grey_values)},
                  {values, source});
  }
}

bool labels_alone(const InferConfig& infer) {
  return infer.outputs == std::vector<std::string>{"labels"};
}

}  // namespace

int predict(const CommandLine& command) {
  const auto config = config::read<PredictConfig>(words_to_node(command));
  check_keeps_inputs(config.input, config.output);
  const bool to_file = !file_extension(config.output).empty();
  if (to_file) check_writable(config.output);
  apply_threads(config.threads);
  const TrainedTask trained =
      open_task(config.run, config.checkpoint, config.task, config.device, config.infer);
  if (to_file && !labels_alone(trained.infer())) {
    throw usage_error(
        "output: a folder is expected for infer.outputs other than [labels], got the file '" +
        config.output + "'");
  }
  MemoryBudget budget(bytes_from_text(trained.infer().memory));
  const std::map<std::string, InputVolume> volumes = read_inputs(config, trained, budget);
  std::map<std::string, InputImage> images;
  for (const auto& [role, volume] : volumes) images[role] = {volume.store.get(), volume.geometry};
  const PredictedVolume predicted = trained.predict(images, budget);
  const InputVolume& reference = volumes.at(trained.inputs.front().role);
  if (predicted.kind == Prediction::Kind::kLogits) {
    write_classes(config, trained, predicted.classes, reference);
  } else if (labels_alone(trained.infer())) {
    write_values(config, trained, *predicted.values, reference);
  } else {
    throw usage_error(fmt::format("infer.outputs: task '{}' predicts no classes", trained.key),
                      "leave infer.outputs at [labels]");
  }
  std::printf("%s\n", config.output.c_str());
  return 0;
}

}  // namespace triptych::app
