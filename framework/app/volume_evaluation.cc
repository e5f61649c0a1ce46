// SPDX-License-Identifier: Apache-2.0
#include "framework/app/volume_evaluation.h"

#include "framework/app/class_legend.h"
#include "framework/core/error.h"
#include "framework/core/progress.h"
#include "framework/data/finer_grid.h"
#include "framework/learn/task_groups.h"
#include "framework/ops/otsu.h"

#include <algorithm>
#include <numeric>
#include <optional>

#include <ATen/ATen.h>

namespace triptych::app {
namespace fs = std::filesystem;
namespace {

/// Metrics by method name, in the order in which methods were first scored.
class Scores {
 public:
  explicit Scores(const Task& task) : task_(task) {}

  void add(const std::string& method,
           const Prediction& predicted,
           const Geometry& grid,
           const Sample& reference) {
    auto found = std::find_if(
        rows_.begin(), rows_.end(), [&](const MethodScores& row) { return row.name == method; });
    if (found == rows_.end()) {
      rows_.push_back({method, task_.metrics()});
      found = std::prev(rows_.end());
    }
    found->metrics->add_volume(predicted, grid, reference);
  }
  std::vector<MethodScores> take() { return std::move(rows_); }

 private:
  const Task& task_;
  std::vector<MethodScores> rows_;
};

/// Otsu's classes, in the order of the reference's mean grey values.
at::Tensor otsu_labels(const at::Tensor& image, const at::Tensor& reference, std::int64_t classes) {
  const at::Tensor values = image[0].to(at::kFloat).contiguous();
  const std::span<const float> span(values.data_ptr<float>(),
                                    static_cast<std::size_t>(values.numel()));
  const std::vector<std::int64_t> bands =
      classify_by_thresholds(span, otsu_thresholds(span, static_cast<int>(classes)));
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

/// The middle slice of the image, the prediction and what it is compared with (nullptr: nothing on
/// the image's grid).
void draw(const fs::path& file,
          const Entry& image,
          const Prediction& predicted,
          const Entry* reference,
          const ClassTable& classes) {
  const std::int64_t middle = image.geometry.shape[0] / 2;
  const bool labelled = predicted.kind == Prediction::Kind::kLabels;
  const auto panel = [&](const char* name, const at::Tensor& grey, const at::Tensor& labels) {
    SliceView view;
    view.name = name;
    view.index = static_cast<int>(middle);
    view.count = static_cast<int>(image.geometry.shape[0]);
    view.spacing = {
        image.geometry.spacing[0], image.geometry.spacing[1], image.geometry.spacing_known};
    view.image = slice_of(grey, grey.size(1) / 2);
    if (labels.defined()) view.labels = label_slice_of(labels, middle);
    return view;
  };
  const at::Tensor values = predicted.value[0];
  std::vector<SliceView> panels = {panel("image", image.data, {})};
  panels.push_back(labelled ? panel("prediction", image.data, values.to(at::kLong))
                            : panel("prediction", values, {}));
  if (reference != nullptr && same_grid(reference->geometry, image.geometry)) {
    const bool labels = reference->kind == EntryKind::kLabel;
    panels.push_back(labels ? panel("reference", image.data, reference->data)
                            : panel("reference", reference->data, {}));
  }
  write_png(file,
            draw_row(panels,
                     labelled ? legend_of(classes) : std::vector<LegendClass>{},
                     {},
                     file.stem().string()));
}

/// The grid of a finer prediction of the sample; nothing where it is the image's.
std::optional<Geometry> finer_prediction_grid(const TrainedTask& trained, const SampleSpec& spec) {
  if (trained.task().upsampling == Index3{1, 1, 1}) return {};
  for (const RoleBinding& role : trained.task().task->roles()) {
    const EntrySpec* entry = spec.find(role.entry);
    if (role.role == trained.inputs.front().role && entry != nullptr)
      return trained.prediction_grid(entry->geometry);
  }
  return {};
}

/// A sample's entries of the task's roles, whole; targets on the grid of a finer prediction. Images
/// are made dense float32.
Sample read_roles(const TrainedTask& trained, std::size_t index) {
  const ExperimentTask& task = trained.task();
  const SampleSpec& spec = task.dataset->samples()[index];
  const std::optional<Geometry> finer = finer_prediction_grid(trained, spec);
  Sample sample;
  sample.id = spec.id;
  for (const RoleBinding& role : bound_roles(task)) {
    const EntrySpec* stored = spec.find(role.entry);
    if (stored == nullptr && !role.required) continue;
    const bool samples = finer && role.upsampled() && stored != nullptr;
    Entry entry = samples ? sampled_on(*task.dataset, index, *stored, *finer)
                          : task.dataset->read_all(index, role.entry);
    if (entry.kind == EntryKind::kIntensity) entry.data = entry.data.to(at::kFloat).contiguous();
    sample.entries.emplace(role.role, std::move(entry));
  }
  return sample;
}

/// The first target that has a grid, or nullptr.
const Entry* shown_target(const Task& task, const Sample& sample) {
  for (const RoleBinding& role : task.roles()) {
    const Entry* entry = sample.find(role.role);
    if (role.target && entry != nullptr && entry->kind != EntryKind::kPoints) return entry;
  }
  return nullptr;
}

std::unique_ptr<VolumeStore> stored(const Entry& image,
                                    MemoryBudget& budget,
                                    const fs::path& scratch) {
  auto store = std::make_unique<VolumeStore>(
      image.data.size(0), image.geometry.shape, at::kFloat, budget, scratch);
  store->tensor().copy_(image.data);
  return store;
}

/// Training samples whose whole volumes choose the parameters of baselines.
constexpr std::size_t kTuningSamples = 4;

/// The task's baselines, tuned on training samples.
std::vector<Baseline> tuned_baselines(const TrainedTask& trained) {
  const ExperimentTask& task = trained.task();
  if (task.upsampling != Index3{1, 1, 1}) {
    throw usage_error(
        fmt::format("compare: task '{}' predicts a finer grid than its images'; the other ways to "
                    "a result keep the image's",
                    task.key),
        "leave compare=true away; trivial/ is the interpolated image");
  }
  std::vector<std::size_t> chosen = task.dataset->split("train");
  chosen.resize(std::min(chosen.size(), kTuningSamples));
  std::vector<Sample> training;
  for (const std::size_t index : chosen) training.push_back(read_roles(trained, index));
  return task.task->baselines(training);
}

Prediction labels_of(const at::Tensor& labels) {
  return {Prediction::Kind::kLabels, labels.unsqueeze(0), "", {}};
}

/// Scores Otsu's thresholds and every way of fusing planes; returns the last one.
Prediction compare_ways(const TrainedTask& trained,
                        std::int64_t planes,
                        const Sample& sample,
                        const VolumeStore& store,
                        MemoryBudget& budget,
                        Scores& scores) {
  const Entry& image = sample.at(trained.inputs.front().role);
  const Entry* target = shown_target(*trained.task().task, sample);
  if (target == nullptr || target->kind != EntryKind::kLabel) {
    throw usage_error(
        fmt::format("compare: expected a task with a label as target or with baselines, got '{}'",
                    trained.key));
  }
  InferConfig every_way = trained.infer();
  every_way.planes = planes;
  const std::int64_t classes = trained.task().task->context().classes.size();
  scores.add(
      "otsu", labels_of(otsu_labels(image.data, target->data, classes)), image.geometry, sample);
  Prediction last;
  for (const NamedLabels& way : trained.predictor(every_way).predict_every_way(
           store, image.geometry, budget, trained.scratch())) {
    last = labels_of(way.labels->tensor());
    scores.add(way.name, last, image.geometry, sample);
  }
  return last;
}

std::string method_name(const TrainedTask& trained, const Prediction& predicted) {
  if (predicted.kind != Prediction::Kind::kLabels ||
      trained.task().task->volume_prediction() == VolumePrediction::kGlobal)
    return "prediction";
  return fmt::format("{}-{}", trained.infer().fusion, trained.infer().planes);
}

}  // namespace

std::vector<MethodScores> evaluate_split(const TrainedTask& trained,
                                         const std::string& split,
                                         std::int64_t limit,
                                         std::int64_t compare_planes,
                                         const fs::path& pictures) {
  const ExperimentTask& task = trained.task();
  const auto dataset = trained.experiment->dataset(task.setup.dataset);
  std::vector<std::size_t> samples = dataset->split(split);
  if (samples.empty())
    throw data_error(
        fmt::format("data set '{}': the split '{}' has no samples", task.setup.dataset, split));
  if (limit > 0 && static_cast<std::int64_t>(samples.size()) > limit)
    samples.resize(static_cast<std::size_t>(limit));

  const std::vector<Baseline> baselines =
      compare_planes > 0 ? tuned_baselines(trained) : std::vector<Baseline>{};
  Scores scores(*task.task);
  Progress progress("evaluate", static_cast<std::int64_t>(samples.size()));
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const Sample sample = read_roles(trained, samples[i]);
    const Entry& image = sample.at(trained.inputs.front().role);
    MemoryBudget budget(bytes_from_text(trained.infer().memory));
    std::map<std::string, std::unique_ptr<VolumeStore>> stores;
    std::map<std::string, InputImage> images;
    for (const InputRole& input : trained.inputs) {
      const Entry& entry = sample.at(input.role);
      stores[input.role] = stored(entry, budget, trained.scratch());
      images[input.role] = {stores[input.role].get(), entry.geometry};
    }
    Prediction shown;
    if (compare_planes > 0 && baselines.empty()) {
      const VolumeStore& store = *stores.at(trained.inputs.front().role);
      shown = compare_ways(trained, compare_planes, sample, store, budget, scores);
    } else {
      for (const Baseline& baseline : baselines)
        scores.add(baseline.name, baseline.predict(sample), image.geometry, sample);
      shown = trained.predict(images, budget).prediction();
      scores.add(method_name(trained, shown), shown, image.geometry, sample);
    }
    draw(pictures / (sample.id + ".png"),
         image,
         shown,
         shown_target(*task.task, sample),
         task.task->context().classes);
    progress.update(static_cast<std::int64_t>(i) + 1, sample.id);
  }
  return scores.take();
}

Table score_table(const std::vector<MethodScores>& scores, const std::string& main_metric) {
  const std::string group = main_metric.substr(0, main_metric.find('/') + 1);
  const auto wanted = [&](const std::string& name) {
    const bool trivial = group.empty() && name.starts_with("trivial/");
    return (name.starts_with(group) && !trivial) || name == "dice/mean" || name == "hd95_mm/mean" ||
           name == "asd_mm/mean";
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
    for (const MetricValue& metric : score.metrics->values())
      table.add_row({score.name, metric.name, metric.value});
  }
  return table;
}

}  // namespace triptych::app
