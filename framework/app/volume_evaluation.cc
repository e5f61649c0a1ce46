// SPDX-License-Identifier: Apache-2.0
#include "framework/app/volume_evaluation.h"

#include <algorithm>
#include <numeric>

#include <ATen/ATen.h>

#include "framework/app/class_legend.h"
#include "framework/core/error.h"
#include "framework/core/progress.h"
#include "framework/ops/otsu.h"

namespace triptych::app {
namespace fs = std::filesystem;
namespace {

/// Metrics by method name, in the order in which methods were first scored.
class Scores {
 public:
  explicit Scores(const Task& task) : task_(task) {}

  void add(const std::string& method, const at::Tensor& predicted, const Entry& reference) {
    auto found = std::find_if(rows_.begin(), rows_.end(), [&](const MethodScores& row) { return row.name == method; });
    if (found == rows_.end()) {
      rows_.push_back({method, task_.metrics()});
      found = std::prev(rows_.end());
    }
    found->metrics->add_volume(predicted, reference.data, reference.geometry);
  }
  std::vector<MethodScores> take() { return std::move(rows_); }

 private:
  const Task& task_;
  std::vector<MethodScores> rows_;
};

/// Otsu's classes, in the order of the reference's mean grey values.
at::Tensor otsu_labels(const at::Tensor& image, const at::Tensor& reference, std::int64_t classes) {
  const at::Tensor values = image[0].to(at::kFloat).contiguous();
  const std::span<const float> span(values.data_ptr<float>(), static_cast<std::size_t>(values.numel()));
  const std::vector<std::int64_t> bands = classify_by_thresholds(span, otsu_thresholds(span, static_cast<int>(classes)));
  std::vector<double> mean(static_cast<std::size_t>(classes), 1e30);
  for (std::int64_t label = 0; label < classes; ++label) {
    const at::Tensor inside = values.masked_select(reference[0] == label);
    if (inside.numel() > 0) mean[static_cast<std::size_t>(label)] = inside.mean().item<double>();
  }
  std::vector<std::int64_t> order(static_cast<std::size_t>(classes));
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
    return mean[static_cast<std::size_t>(a)] < mean[static_cast<std::size_t>(b)];
  });
  at::Tensor labels = at::empty(reference.sizes(), at::kLong);
  auto* out = labels.data_ptr<std::int64_t>();
  for (std::size_t i = 0; i < bands.size(); ++i) out[i] = order[static_cast<std::size_t>(bands[i])];
  return labels;
}

void draw(const fs::path& file, const Entry& image, const at::Tensor& predicted, const Entry& reference, const ClassTable& classes) {
  const std::int64_t middle = image.geometry.shape[0] / 2;
  std::vector<SliceView> panels;
  for (const char* name : {"image", "prediction", "reference"}) {
    SliceView view;
    view.name = name;
    view.index = static_cast<int>(middle);
    view.count = static_cast<int>(image.geometry.shape[0]);
    view.spacing = {image.geometry.spacing[0], image.geometry.spacing[1], image.geometry.spacing_known};
    view.image = slice_of(image.data, middle);
    if (view.name == "prediction") view.labels = label_slice_of(predicted, middle);
    if (view.name == "reference") view.labels = label_slice_of(reference.data, middle);
    panels.push_back(std::move(view));
  }
  write_png(file, draw_row(panels, legend_of(classes), {}, file.stem().string()));
}

struct PredictedSample {
  std::string id;
  Entry image;
  Entry reference;
};

PredictedSample read_sample(const ExperimentTask& task, std::size_t index) {
  PredictedSample sample;
  sample.id = task.dataset->samples()[index].id;
  for (const RoleBinding& role : task.task->roles()) {
    if (role.role == "image") sample.image = task.dataset->read_all(index, role.entry);
    if (role.role == "label") sample.reference = task.dataset->read_all(index, role.entry);
  }
  if (!sample.image.data.defined() || !sample.reference.data.defined()) {
    throw data_error(fmt::format("task '{}': evaluation of volumes needs the roles image and label", task.key));
  }
  sample.image.data = sample.image.data.to(at::kFloat).contiguous();
  return sample;
}

}  // namespace

std::vector<MethodScores> evaluate_split(const TrainedTask& trained, const std::string& split, std::int64_t limit, bool compare,
                                         const fs::path& pictures) {
  const ExperimentTask& task = trained.task();
  const auto dataset = trained.experiment->dataset(task.setup.dataset);
  std::vector<std::size_t> samples = dataset->split(split);
  if (samples.empty()) throw data_error(fmt::format("data set '{}': the split '{}' has no samples", task.setup.dataset, split));
  if (limit > 0 && static_cast<std::int64_t>(samples.size()) > limit) samples.resize(static_cast<std::size_t>(limit));

  const ClassTable& classes = task.task->context().classes;
  const InferConfig& infer = trained.infer();
  const VolumePredictor predictor = trained.predictor();
  Scores scores(*task.task);
  Progress progress("evaluate", static_cast<std::int64_t>(samples.size()));
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const PredictedSample sample = read_sample(task, samples[i]);
    MemoryBudget budget(bytes_from_text(infer.memory));
    VolumeStore store(sample.image.data.size(0), sample.image.geometry.shape, at::kFloat, budget, trained.scratch());
    store.tensor().copy_(sample.image.data);
    at::Tensor shown;
    const auto score = [&](const std::string& method, const at::Tensor& labels) {
      shown = labels.to(at::kLong);
      scores.add(method, shown, sample.reference);
    };
    if (compare) {
      score("otsu", otsu_labels(sample.image.data, sample.reference.data, classes.size()));
      for (const NamedLabels& way : predictor.predict_every_way(store, sample.image.geometry, budget, trained.scratch())) {
        score(way.name, way.labels->tensor());
      }
    } else {
      const FusedVolume fused = predictor.predict(store, sample.image.geometry, budget, trained.scratch());
      score(fmt::format("{}-{}", infer.fusion, infer.planes), fused.labels->tensor());
    }
    draw(pictures / (sample.id + ".png"), sample.image, shown, sample.reference, classes);
    progress.update(static_cast<std::int64_t>(i) + 1, sample.id);
  }
  return scores.take();
}

Table score_table(const std::vector<MethodScores>& scores, const std::string& main_metric) {
  const std::string group = main_metric.substr(0, main_metric.find('/') + 1);
  const auto wanted = [&](const std::string& name) {
    return name.starts_with(group) || name == "dice/mean" || name == "hd95_mm/mean" || name == "asd_mm/mean";
  };
  std::vector<std::string> columns = {"method"};
  std::vector<std::vector<Table::Cell>> rows;
  for (const MethodScores& score : scores) {
    std::vector<Table::Cell> row = {score.name};
    for (const MetricValue& metric : score.metrics->values()) {
      if (!wanted(metric.name)) continue;
      if (rows.empty()) columns.push_back(metric.name);
      row.emplace_back(metric.value);
    }
    rows.push_back(std::move(row));
  }
  Table table(columns, 4);
  for (auto& row : rows) table.add_row(std::move(row));
  return table;
}

Table metric_table(const std::vector<MethodScores>& scores) {
  Table table({"method", "metric", "value"}, 4);
  for (const MethodScores& score : scores) {
    for (const MetricValue& metric : score.metrics->values()) table.add_row({score.name, metric.name, metric.value});
  }
  return table;
}

}  // namespace triptych::app
