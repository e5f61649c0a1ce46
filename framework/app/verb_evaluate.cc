// SPDX-License-Identifier: Apache-2.0
#include "framework/app/class_legend.h"
#include "framework/app/engine.h"
#include "framework/app/image_evaluation.h"
#include "framework/app/run_files.h"
#include "framework/app/stored_image.h"
#include "framework/app/volume_evaluation.h"
#include "framework/config/fields.h"
#include "framework/core/error.h"
#include "framework/core/file.h"
#include "framework/image/io.h"
#include "framework/learn/label_metrics.h"
#include "framework/report/matrix_chart.h"

#include <cmath>
#include <cstdio>

#include <ATen/ATen.h>

namespace triptych::app {
namespace fs = std::filesystem;
namespace {

struct EvaluateConfig {
  std::string run;
  std::string task;
  std::string checkpoint = "best";
  std::string split = "test";
  bool compare = false;
  std::int64_t limit = 0;
  std::string output;
  std::map<std::string, std::string> input;
  std::string kind = "labels";
  std::vector<double> spacing;
  bool ignore_positions = false;
  std::string device;
  std::int64_t threads = 0;
  config::Node infer;

  void visit(auto& field) {
    field("run", run, "run directory of a training; or input.prediction and input.reference");
    field("task", task, "task of the run; may be left out when there is one");
    field("checkpoint", checkpoint, "which weights", config::OneOf{"best", "last"});
    field("split", split, "samples to evaluate", config::OneOf{"train", "validation", "test"});
    field("compare",
          compare,
          "also score what needs no training: of classes Otsu's thresholds, besides single plane "
          "sets and soft and majority voting over 3 and 9 sets; of images the input and classical "
          "denoising");
    field("limit", limit, "samples; 0 = all", config::AtLeast{0});
    field("output",
          output,
          "folder for metrics.json, metrics.md, metrics.csv and pictures; empty = "
          "<run>/evaluation/<split>");
    field("input",
          input,
          "input.prediction=<file> input.reference=<file>: two label maps, or images with an "
          "optional input.mask=<file> that parts them into inside (not 0) and outside");
    field("kind", kind, "what these files are", config::OneOf{"labels", "images"});
    field("spacing", spacing, "voxel size in mm [x, y, z] for files that state none");
    field("ignore_positions",
          ignore_positions,
          "compare these files voxel by voxel, whatever spacing and position they state");
    field("device", device, "device; empty = as in training");
    field("threads", threads, "threads; 0 = all cores", config::AtLeast{0});
    field("infer", infer, "keys of the group `infer` that differ from the training's");
  }
  void validate(config::Problems& problems) const {
    for (const auto& [role, file] : input) {
      if (role != "prediction" && role != "reference" && !(role == "mask" && kind == "images"))
        problems.add("input",
                     fmt::format("expects input.prediction, input.reference or, with kind=images, "
                                 "input.mask, got input.{}",
                                 role));
    }
    const bool files = input.contains("prediction") && input.contains("reference");
    if (run.empty() == !files)
      problems.add(
          "run", "expects either run=<dir>, or input.prediction=<file> and input.reference=<file>");
    if (!spacing.empty() && spacing.size() != 3)
      problems.add("spacing", "expects three values [x, y, z] in mm");
  }
};

Table label_table(const ConfusionMatrix& confusion,
                  const at::Tensor& predicted,
                  const at::Tensor& reference,
                  const Geometry& geometry) {
  Table table({"class", "iou", "dice", "precision", "recall", "hd95_mm", "asd_mm"}, 4);
  SurfaceDistance sum;
  std::int64_t measured = 0;
  for (std::int64_t label = 0; label < confusion.classes(); ++label) {
    const SurfaceDistance distance =
        surface_distance(predicted[0] == label, reference[0] == label, geometry);
    if (label > 0 && std::isfinite(distance.hd95)) {
      sum.hd95 += distance.hd95;
      sum.average += distance.average;
      ++measured;
    }
    table.add_row({label,
                   confusion.iou(label),
                   confusion.dice(label),
                   confusion.precision(label),
                   confusion.recall(label),
                   distance.hd95,
                   distance.average});
  }
  const auto mean = [&](double total) { return total / static_cast<double>(measured); };
  table.add_row({std::string("mean 1.."),
                 confusion.foreground_mean(&ConfusionMatrix::iou),
                 confusion.foreground_mean(&ConfusionMatrix::dice),
                 confusion.foreground_mean(&ConfusionMatrix::precision),
                 confusion.foreground_mean(&ConfusionMatrix::recall),
                 mean(sum.hd95),
                 mean(sum.average)});
  return table;
}

void write_tables(const fs::path& folder, const Table& summary, const Table& all) {
  write_file_atomically(folder / "metrics.json", all.json() + "\n");
  write_file_atomically(folder / "metrics.csv", all.csv());
  write_file_atomically(folder / "metrics.md", summary.markdown());
}

ReadOptions read_options(const EvaluateConfig& config) {
  ReadOptions options;
  if (!config.spacing.empty())
    options.spacing_mm = Eigen::Vector3d(config.spacing[0], config.spacing[1], config.spacing[2]);
  return options;
}

void check_comparable(const EvaluateConfig& config,
                      const Volume& volume,
                      const std::string& file,
                      const Volume& reference,
                      const std::string& reference_file) {
  Geometry geometry = volume.geometry;
  if (config.ignore_positions) {
    geometry = reference.geometry;
    geometry.shape = volume.geometry.shape;
  }
  check_same_grid(geometry, file, reference.geometry, reference_file);
}

int evaluate_images(const EvaluateConfig& config, bool json) {
  const ReadOptions options = read_options(config);
  const std::string& reference_file = config.input.at("reference");
  const Volume reference = read_volume(reference_file, options);
  check_finite(reference.data, reference_file);
  const auto read = [&](const char* role) {
    const std::string& file = config.input.at(role);
    Volume volume = read_volume(file, options);
    check_comparable(config, volume, file, reference, reference_file);
    check_finite(volume.data, file);
    return volume.data;
  };
  const at::Tensor mask = config.input.contains("mask") ? read("mask") : at::Tensor();
  const Table table = image_table(read("prediction"), reference.data, mask, reference_file);
  if (!config.output.empty()) write_tables(config.output, table, table);
  std::fputs((json ? table.json() + "\n" : table.text()).c_str(), stdout);
  return 0;
}

int evaluate_labels(const EvaluateConfig& config, bool json) {
  const ReadOptions options = read_options(config);
  const std::string& prediction_file = config.input.at("prediction");
  const std::string& reference_file = config.input.at("reference");
  const Volume prediction = read_labels(prediction_file, options);
  const Volume reference = read_labels(reference_file, options);
  check_comparable(config, prediction, prediction_file, reference, reference_file);
  check_label_range(prediction.data, prediction_file);
  check_label_range(reference.data, reference_file, /*lowest=*/-1);  // -1: not annotated
  const std::int64_t classes = 1 + std::max(prediction.data.max().item<std::int64_t>(),
                                            reference.data.max().item<std::int64_t>());
  ConfusionMatrix confusion(std::max<std::int64_t>(classes, 2));
  confusion.add(prediction.data, reference.data);
  const Table table = label_table(confusion, prediction.data, reference.data, reference.geometry);
  if (!config.output.empty()) {
    write_tables(config.output, table, table);
    MatrixChart chart;
    for (std::int64_t label = 0; label < confusion.classes(); ++label) {
      chart.row_names.push_back(std::to_string(label));
      for (std::int64_t other = 0; other < confusion.classes(); ++other)
        chart.values.push_back(static_cast<double>(confusion.count(label, other)));
    }
    chart.column_names = chart.row_names;
    write_file_atomically(fs::path(config.output) / "confusion.svg", svg_of(chart));
  }
  std::fputs((json ? table.json() + "\n" : table.text()).c_str(), stdout);
  return 0;
}

}  // namespace

int evaluate(const CommandLine& command) {
  const auto config = config::read<EvaluateConfig>(words_to_node(command));
  apply_threads(config.threads);
  if (config.run.empty() && config.kind == "images") return evaluate_images(config, command.json);
  if (config.run.empty()) return evaluate_labels(config, command.json);
  const TrainedTask task =
      open_task(config.run, config.checkpoint, config.task, config.device, config.infer);
  const bool planes_given = config.infer.is_map() && config.infer.find("planes") != nullptr;
  const std::int64_t compare_planes = !config.compare ? 0 : planes_given ? task.infer().planes : 9;
  const fs::path folder = config.output.empty() ? fs::path(config.run) / "evaluation" / config.split
                                                : fs::path(config.output);
  const std::vector<MethodScores> scores =
      evaluate_split(task, config.split, config.limit, compare_planes, folder / "pictures");
  const Table summary = score_table(scores, task.task().task->main_metric());
  const Table all = metric_table(scores);
  write_tables(folder, summary, all);
  std::fputs((command.json ? all.json() + "\n" : summary.text()).c_str(), stdout);
  return 0;
}

}  // namespace triptych::app
