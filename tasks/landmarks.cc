// SPDX-License-Identifier: Apache-2.0
#include "framework/core/error.h"
#include "framework/core/nn.h"
#include "framework/learn/role_kinds.h"
#include "framework/learn/task.h"

#include <algorithm>

namespace triptych {
namespace {

/// Distances [P] in mm between the predicted points of an item and its true ones, which must be as
/// many and in the same order.
at::Tensor point_errors(const at::Tensor& predicted,
                        const at::Tensor& truth,
                        const std::string& id) {
  if (predicted.size(0) != truth.size(0)) {
    throw data_error(fmt::format("{}: expected {} landmarks, as the head predicts, got {}",
                                 id,
                                 predicted.size(0),
                                 truth.size(0)),
                     "set the head's points; every sample needs the same landmarks in one order");
  }
  constexpr double kTinyMm2 = 1e-12;
  return ((predicted - truth.to(predicted.options())).square().sum(1) + kTinyMm2).sqrt();
}

class LandmarkMetrics final : public MetricAccumulator {
 public:
  void add(const Prediction& prediction, const Batch& batch) override {
    const BatchEntry& truth = batch.at("points");
    for (std::size_t row = 0; row < truth.items.size(); ++row) {
      const std::int64_t item = truth.items[row];
      add_errors(point_errors(
          prediction.value[item], truth.points[row], batch.ids[static_cast<std::size_t>(item)]));
    }
  }
  void add_volume(const Prediction& predicted, const Geometry&, const Sample& reference) override {
    add_errors(point_errors(predicted.value[0], reference.at("points").data, reference.id));
  }
  std::vector<double> state() const override { return {sum_mm_, points_, largest_mm_}; }
  void merge(const std::vector<double>& state) override {
    TRIPTYCH_ASSERT(state.size() == 3);
    sum_mm_ += state[0];
    points_ += state[1];
    largest_mm_ = std::max(largest_mm_, state[2]);
  }
  std::vector<MetricValue> values() const override {
    return {{"error_mm/mean", sum_mm_ / points_, Direction::kLowerIsBetter},
            {"error_mm/largest", largest_mm_, Direction::kLowerIsBetter}};
  }

 private:
  void add_errors(const at::Tensor& errors) {
    sum_mm_ += errors.sum().item<double>();
    points_ += static_cast<double>(errors.numel());
    largest_mm_ = std::max(largest_mm_, errors.max().item<double>());
  }

  double sum_mm_ = 0.0, points_ = 0.0, largest_mm_ = 0.0;
};

/// Regression of landmarks: the mean distance in mm between the points that a head predicts from
/// the role `image` and those of the role `points`, which every sample has in one order. Whole
/// images as items.
class LandmarksTask final : public Task {
 public:
  struct Config {
    std::map<std::string, std::string> roles = {{"image", "image"}, {"points", "landmarks"}};
    void visit(auto& field) { field("roles", roles, "role: entry of the dataset that plays it"); }
    void validate(config::Problems& problems) const {
      for (const char* role : {"image", "points"}) {
        if (!roles.contains(role))
          problems.add("roles", fmt::format("expects an entry for the role '{}'", role));
      }
    }
  };

  LandmarksTask(const Config& config, const TaskContext& context)
      : config_(config), context_(context) {}

  std::vector<RoleBinding> roles() const override {
    return {{"image", config_.roles.at("image"), true},
            {"points", config_.roles.at("points"), true, true}};
  }
  std::vector<LossTerm> losses(const Prediction& prediction, const Batch& batch) const override {
    check_role_kinds(batch, context_.key);
    const BatchEntry& truth = batch.at("points");
    std::vector<at::Tensor> means;
    for (std::size_t row = 0; row < truth.items.size(); ++row) {
      const std::int64_t item = truth.items[row];
      means.push_back(point_errors(prediction.value[item],
                                   truth.points[row],
                                   batch.ids[static_cast<std::size_t>(item)])
                          .mean());
    }
    return {{"distance_mm", torch::stack(means).mean()}};
  }
  std::unique_ptr<MetricAccumulator> metrics() const override {
    return std::make_unique<LandmarkMetrics>();
  }
  std::string main_metric() const override { return "error_mm/mean"; }
  VolumePrediction volume_prediction() const override { return VolumePrediction::kGlobal; }
  at::Tensor activate(const Prediction& prediction) const override { return prediction.value; }
  const TaskContext& context() const override { return context_; }
  /// None: points have no voxels to draw.
  PictureRoles picture_roles() const override { return {.image = "", .reference = ""}; }

 private:
  Config config_;
  TaskContext context_;
};

}  // namespace
TRIPTYCH_REGISTER_TASK("landmarks", LandmarksTask)
}  // namespace triptych
