// SPDX-License-Identifier: Apache-2.0
#include "framework/app/run_observer.h"

#include "framework/app/class_legend.h"
#include "framework/app/mixing_charts.h"
#include "framework/core/file.h"
#include "framework/report/line_chart.h"
#include "framework/report/plane_row.h"
#include "framework/report/tensorboard_sink.h"

#include <cmath>
#include <fstream>

#include <ATen/ATen.h>
#include <fmt/core.h>
#include <nlohmann/json.hpp>

namespace triptych::app {
namespace {

SliceView panel(const std::string& name,
                FloatImage image,
                LabelImage labels,
                const Geometry& geometry) {
  SliceView view;
  view.name = name;
  view.spacing = {geometry.spacing[0], geometry.spacing[1], geometry.spacing_known};
  view.image = std::move(image);
  view.labels = std::move(labels);
  return view;
}

/// A sample id as part of a file name: letters, digits, '.', '_' and '-' stay, anything else
/// becomes '_'.
std::string safe_file_name(const std::string& id) {
  constexpr std::size_t kLongest = 120;
  std::string name = id.substr(0, kLongest);
  for (char& c : name) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '.' || c == '_' || c == '-';
    if (!plain) c = '_';
  }
  return name;
}

}  // namespace

RunObserver::RunObserver(std::filesystem::path folder, std::optional<std::int64_t> resume_step)
    : folder_(std::move(folder)) {
  sinks_.add(std::make_unique<JsonlSink>(folder_ / "metrics.jsonl", resume_step));
  sinks_.add(std::make_unique<CsvSink>(folder_ / "metrics.csv", resume_step));
  sinks_.add(std::make_unique<TensorBoardSink>(folder_ / "tb", resume_step));
  if (resume_step) read_earlier_rows();
}

void RunObserver::read_earlier_rows() {
  std::ifstream stream(folder_ / "metrics.jsonl");
  for (std::string line; std::getline(stream, line);) {
    const auto row = nlohmann::ordered_json::parse(line, nullptr, false);
    if (!row.is_object()) continue;
    std::vector<std::pair<std::string, double>> values;
    for (const auto& [tag, value] : row.items()) {
      if (tag != "step" && tag != "epoch" && value.is_number()) {
        values.emplace_back(tag, value.get<double>());
      }
    }
    keep(row.value("step", 0.0), row.value("phase", "train"), values);
  }
}

void RunObserver::keep(double step,
                       const std::string& phase,
                       const std::vector<std::pair<std::string, double>>& values) {
  for (const auto& [tag, value] : values) {
    curves_[tag].first.push_back(step);
    curves_[tag].second.push_back(value);
  }
  if (phase != "train") last_validation_ = values;
}

void RunObserver::on_metrics(std::int64_t step,
                             const std::string& phase,
                             const std::vector<std::pair<std::string, double>>& values) {
  MetricRow row;
  row.step = step;
  row.values = values;
  row.phase = phase;
  sinks_.write(row);
  keep(static_cast<double>(step), phase, values);
  if (phase != "train") {
    sinks_.flush();
    draw_curves();
  }
}

void RunObserver::on_predictions(std::int64_t step,
                                 const ExperimentTask& task,
                                 const Batch& batch,
                                 const at::Tensor& activated) {
  const ClassTable& classes = task.task->context().classes;
  const PictureRoles roles = task.task->picture_roles();
  if (!batch.has(roles.image)) return;
  const BatchEntry& image = batch.at(roles.image);
  const bool compared = batch.has(roles.reference);
  const bool labelled = compared && batch.at(roles.reference).kind == EntryKind::kLabel &&
                        activated.size(1) == classes.size();
  for (std::int64_t item = 0; item < activated.size(0); ++item) {
    const Geometry& geometry = image.geometry[static_cast<std::size_t>(item)];
    const at::Tensor grey = image.data[item];
    const std::int64_t middle = grey.size(1) / 2;
    const std::int64_t out = activated.size(2) / 2;
    std::vector<SliceView> panels;
    if (labelled) {
      const at::Tensor predicted = activated[item].argmax(0, true);
      panels.push_back(panel("image", slice_of(grey, middle), {}, geometry));
      panels.push_back(
          panel("prediction", slice_of(grey, middle), label_slice_of(predicted, out), geometry));
      panels.push_back(panel("reference",
                             slice_of(grey, middle),
                             label_slice_of(batch.at(roles.reference).data[item], out),
                             geometry));
    } else {
      panels.push_back(panel("input", slice_of(grey, middle), {}, geometry));
      panels.push_back(panel("prediction", slice_of(activated[item], out), {}, geometry));
      if (compared && batch.at(roles.reference).kind == EntryKind::kIntensity) {
        const BatchEntry& reference = batch.at(roles.reference);  // a moving image has its own grid
        const at::Tensor other = reference.data[item];
        panels.push_back(panel("reference",
                               slice_of(other, other.size(1) / 2),
                               {},
                               reference.geometry[static_cast<std::size_t>(item)]));
      }
    }
    const std::string& id = batch.ids[static_cast<std::size_t>(item)];
    const std::string name = picture_name(step, task.key, id);
    Picture picture = draw_row(panels,
                               labelled ? legend_of(classes) : std::vector<LegendClass>{},
                               {},
                               fmt::format("{} step {}", id, step));
    write_png(folder_ / "pictures" / task.key / fmt::format("step_{:07}_{}.png", step, name),
              picture);
    sinks_.write_picture(step, fmt::format("image/{}/{}", task.key, name), picture);
    pictures_.insert_or_assign({task.key, name}, std::move(picture));
  }
}

std::string RunObserver::picture_name(std::int64_t step,
                                      const std::string& task,
                                      const std::string& id) {
  if (step != pictures_step_) pictures_.clear();
  pictures_step_ = step;
  const std::string base = safe_file_name(id);
  std::string name = base;
  for (int count = 2; pictures_.contains({task, name}); ++count)
    name = fmt::format("{}_{}", base, count);
  return name;
}

void RunObserver::on_checkpoint(std::int64_t, const std::filesystem::path&, bool) {
  sinks_.flush();
}

void RunObserver::draw_curves() {
  LineChart losses{.title = "Loss", .x_label = "optimiser step", .y_label = "loss", .log_y = true};
  LineChart metrics{.title = "Validation metrics", .x_label = "optimiser step", .y_label = "value"};
  for (const auto& [tag, points] : curves_) {
    const bool mean = tag.ends_with("/mean");
    if (tag.starts_with("loss/")) {
      losses.series.push_back({.name = tag,
                               .x = points.first,
                               .y = points.second,
                               .best = tag == "loss/val" ? Best::kLowest : Best::kNone});
    } else if (mean && tag.find("_mm/") == std::string::npos) {
      metrics.series.push_back(
          {.name = tag, .x = points.first, .y = points.second, .best = Best::kHighest});
    }
  }
  if (metrics.series.empty() && curves_.contains("monitor")) {
    const auto& [steps, values] = curves_.at("monitor");
    metrics.series.push_back({.name = "monitor", .x = steps, .y = values});
  }
  std::map<std::string, double> latest;
  for (const auto& [tag, points] : curves_) latest[tag] = points.second.back();
  charts_ = mixing_charts(latest);
  charts_["curves.svg"] = svg_of(losses);
  if (!metrics.series.empty()) charts_["metrics.svg"] = svg_of(metrics);
  for (const auto& [name, svg] : charts_) write_file_atomically(folder_ / name, svg);
}

void RunObserver::finish() {
  sinks_.flush();
  draw_curves();
  nlohmann::ordered_json result = nlohmann::ordered_json::object();
  for (const auto& [name, value] : last_validation_) {
    if (std::isfinite(value)) result[name] = value;
  }
  write_file_atomically(folder_ / "result.json", result.dump(2) + "\n");
}

}  // namespace triptych::app
