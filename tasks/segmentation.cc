// SPDX-License-Identifier: Apache-2.0
#include "framework/core/error.h"
#include "framework/core/nn.h"
#include "framework/learn/label_metrics.h"
#include "framework/learn/loss_list.h"
#include "framework/learn/task.h"

#include <cmath>
#include <span>

namespace triptych {
namespace {

/// Overlap metrics over everything seen, distances as means over the volumes.
class SegmentationMetrics final : public MetricAccumulator {
 public:
  explicit SegmentationMetrics(const ClassTable& classes)
      : classes_(classes),
        confusion_(classes.size()),
        hd95_(classes.classes.size()),
        average_(classes.classes.size()) {}

  void add(const Prediction& prediction, const Batch& batch) override {
    confusion_.add(prediction.value.argmax(1), batch.at("label").data.squeeze(1));
  }

  void add_volume(const Prediction& predicted,
                  const Geometry& grid,
                  const Sample& reference) override {
    const at::Tensor labels = predicted.value[0];
    const at::Tensor& truth = reference.at("label").data;
    confusion_.add(labels, truth);
    for (std::int64_t label = 1; label < classes_.size(); ++label) {
      const SurfaceDistance distance =
          surface_distance(labels[0] == label, truth[0] == label, grid);
      hd95_[static_cast<std::size_t>(label)].add(distance.hd95);
      average_[static_cast<std::size_t>(label)].add(distance.average);
    }
  }

  /// [K * K counts, then sum and count of each class' hd95 and average distance].
  std::vector<double> state() const override {
    std::vector<double> numbers(confusion_.counts().begin(), confusion_.counts().end());
    for (const std::vector<Mean>* means : {&hd95_, &average_}) {
      for (const Mean& mean : *means)
        numbers.insert(numbers.end(), {mean.sum, static_cast<double>(mean.count)});
    }
    return numbers;
  }

  void merge(const std::vector<double>& state) override {
    const std::size_t counts = confusion_.counts().size();
    TRIPTYCH_ASSERT(state.size() == counts + 2 * (hd95_.size() + average_.size()));
    confusion_.add_counts(std::span(state).first(counts));
    const double* number = state.data() + counts;
    for (std::vector<Mean>* means : {&hd95_, &average_}) {
      for (Mean& mean : *means) {
        mean.sum += *number++;
        mean.count += static_cast<std::int64_t>(*number++);
      }
    }
  }

  std::vector<MetricValue> values() const override {
    std::vector<MetricValue> rows;
    add_overlap(rows, "iou", &ConfusionMatrix::iou);
    add_overlap(rows, "dice", &ConfusionMatrix::dice);
    add_overlap(rows, "precision", &ConfusionMatrix::precision);
    add_overlap(rows, "recall", &ConfusionMatrix::recall);
    rows.push_back({"accuracy", confusion_.accuracy()});
    rows.push_back({"trivial/uniform_j2", confusion_.uniform_j2()});
    rows.push_back({"trivial/majority_j2", confusion_.majority_j2()});
    add_distance(rows, "hd95_mm", hd95_);
    add_distance(rows, "asd_mm", average_);
    return rows;
  }

 private:
  /// Mean of the defined values.
  struct Mean {
    double sum = 0.0;
    std::int64_t count = 0;
    void add(double value) {
      if (std::isnan(value)) return;
      sum += value;
      ++count;
    }
    double value() const { return count > 0 ? sum / static_cast<double>(count) : std::nan(""); }
  };

  void add_overlap(std::vector<MetricValue>& rows,
                   const std::string& name,
                   double (ConfusionMatrix::*metric)(std::int64_t) const) const {
    rows.push_back({name + "/mean", confusion_.foreground_mean(metric)});
    for (std::int64_t label = 0; label < classes_.size(); ++label) {
      rows.push_back({name + "/" + classes_.classes[static_cast<std::size_t>(label)].name,
                      (confusion_.*metric)(label)});
    }
  }

  void add_distance(std::vector<MetricValue>& rows,
                    const std::string& name,
                    const std::vector<Mean>& means) const {
    Mean over_classes;
    for (const Mean& mean : means) over_classes.add(mean.value());
    if (over_classes.count == 0) return;
    rows.push_back({name + "/mean", over_classes.value(), Direction::kLowerIsBetter});
    for (std::size_t label = 1; label < means.size(); ++label) {
      rows.push_back({name + "/" + classes_.classes[label].name,
                      means[label].value(),
                      Direction::kLowerIsBetter});
    }
  }

  ClassTable classes_;
  ConfusionMatrix confusion_;
  std::vector<Mean> hd95_;
  std::vector<Mean> average_;
};

/// Voxel-wise classification of the role `image` against the role `label` (int64 class indices, -1
/// = ignore).
class SegmentationTask final : public Task {
 public:
  struct Config {
    std::vector<config::Node> losses;
    std::map<std::string, std::string> roles = {{"image", "image"}, {"label", "label"}};
    std::vector<double> class_weights;

    void visit(auto& field) {
      field("losses",
            losses,
            "weighted losses, e.g. [{name: cross_entropy}, {name: dice, weight: 0.5}]",
            config::Need::kRequired);
      field("roles", roles, "role: entry of the dataset that plays it");
      field("class_weights",
            class_weights,
            "weight of each class in the cross-entropy; empty = equal",
            config::AtLeast{0.0});
    }
    void validate(config::Problems& problems) const {
      LossList::check(losses, problems);
      for (const char* role : {"image", "label"}) {
        if (!roles.contains(role))
          problems.add("roles", fmt::format("expects an entry for the role '{}'", role));
      }
    }
  };

  SegmentationTask(const Config& config, const TaskContext& context)
      : config_(config), context_(context), losses_(config.losses) {
    const std::int64_t classes = context.classes.size();
    if (context.head_channels != classes) {
      throw ConfigError("schema",
                        fmt::format("tasks.{}.head.num_classes: the dataset has {} classes, got {}",
                                    context.key,
                                    classes,
                                    context.head_channels));
    }
    if (!config.class_weights.empty() &&
        static_cast<std::int64_t>(config.class_weights.size()) != classes) {
      throw ConfigError(
          "schema",
          fmt::format("tasks.{}.class_weights: expected {} weights, one per class, got {}",
                      context.key,
                      classes,
                      config.class_weights.size()));
    }
  }

  std::vector<RoleBinding> roles() const override {
    return {{"image", config_.roles.at("image"), true},
            {"label", config_.roles.at("label"), true, true}};
  }

  std::vector<LossTerm> losses(const Prediction& prediction, const Batch& batch) const override {
    LossContext context;
    context.class_weights = config_.class_weights;
    return losses_(prediction.value, batch.at("label").data.squeeze(1), context);
  }

  std::unique_ptr<MetricAccumulator> metrics() const override {
    return std::make_unique<SegmentationMetrics>(context_.classes);
  }
  std::string main_metric() const override { return "iou/mean"; }
  VolumePrediction volume_prediction() const override { return VolumePrediction::kPlanes; }
  at::Tensor activate(const Prediction& prediction) const override {
    return torch::softmax(prediction.value.to(torch::kFloat), 1);
  }
  const TaskContext& context() const override { return context_; }

 private:
  Config config_;
  TaskContext context_;
  LossList losses_;
};

}  // namespace
TRIPTYCH_REGISTER_TASK("segmentation", SegmentationTask)
}  // namespace triptych
