// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/config/component.h"
#include "framework/data/batch.h"
#include "framework/data/loader.h"
#include "framework/image/class_table.h"
#include "framework/model/head.h"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace triptych {

/// What a task is told about its place in the experiment.
struct TaskContext {
  std::string key;     ///< tasks.<key>
  ClassTable classes;  ///< of its dataset
  std::int64_t head_channels = 0;
};

enum class Direction { kHigherIsBetter, kLowerIsBetter };

/// A metric value; NaN when undefined (a class that neither prediction nor target has).
struct MetricValue {
  std::string name;  ///< "dice/mean", "iou/bone", ...
  double value = 0.0;
  Direction direction = Direction::kHigherIsBetter;
};

/// Sums up what it sees and gives metrics; one per validation. What it sums up can be taken out as
/// numbers and added to another accumulator of the same task, so that parts of the items may be
/// measured apart.
class MetricAccumulator {
 public:
  virtual ~MetricAccumulator() = default;
  virtual void add(const Prediction& prediction, const Batch& batch) = 0;
  /// A whole predicted volume [1, C, D, H, W] on `grid` (classes as Prediction::Kind::kLabels)
  /// against the sample's entries, by role. Adds what slices cannot give, such as surface distances
  /// and distances of landmarks.
  virtual void add_volume(const Prediction& predicted,
                          const Geometry& grid,
                          const Sample& reference) = 0;
  /// The sums; their meaning is the accumulator's own.
  virtual std::vector<double> state() const = 0;
  /// Adds the state() of another accumulator of the same task.
  virtual void merge(const std::vector<double>& state) = 0;
  virtual std::vector<MetricValue> values() const = 0;
};

/// One summand of a task's loss.
struct LossTerm {
  std::string name;
  at::Tensor value;  ///< scalar, already weighted
};

/// How a whole volume is predicted.
enum class VolumePrediction {
  kPlanes,  ///< slice by slice along the plane sets of infer.planes; in blocks where the network is
            ///< a 3D one
  kBlocks,  ///< in overlapping blocks, 3D networks only
  kGlobal,  ///< one call on whole entries of all roles, for heads that need everything at once
            ///< (registration)
};

/// Roles that a picture of a prediction shows beside it.
struct PictureRoles {
  std::string image = "image";      ///< what is drawn, and drawn upon
  std::string reference = "label";  ///< what the prediction is compared with; "" = nothing
};

/// A way to a task's result that needs no training, to compare a network with.
struct Baseline {
  std::string name;
  /// Whole volume [1, C, D, H, W] from the entries of a sample, by role.
  std::function<Prediction(const Sample& sample)> predict;
};

/// What is to be learned: roles, losses and metrics. Owns no network code and steps no optimiser.
class Task {
 public:
  static constexpr const char* kKind = "task";
  virtual ~Task() = default;

  /// Roles that training reads, bound to entries of the dataset.
  virtual std::vector<RoleBinding> roles() const = 0;
  /// The role whose grid the sampler cuts slices and patches from; "" = the first of roles() that
  /// has a grid.
  virtual std::string reference_role() const { return ""; }
  virtual std::vector<LossTerm> losses(const Prediction& prediction, const Batch& batch) const = 0;
  virtual std::unique_ptr<MetricAccumulator> metrics() const = 0;
  /// Name of the metric that stands for the task in model selection.
  virtual std::string main_metric() const = 0;
  virtual VolumePrediction volume_prediction() const = 0;
  /// The prediction as it is written and fused: probabilities of classes [N, K, ...], or the image
  /// itself.
  virtual at::Tensor activate(const Prediction& prediction) const = 0;
  virtual const TaskContext& context() const = 0;
  virtual PictureRoles picture_roles() const { return {}; }
  /// Baselines with their parameters chosen on whole `training` samples (entries by role).
  virtual std::vector<Baseline> baselines(const std::vector<Sample>& /*training*/) const {
    return {};
  }
  /// True when the prediction is the input image itself, made better: written results then go back
  /// to the grey values of the input file.
  virtual bool keeps_grey_values() const { return false; }
};

using TaskRegistry = config::Registry<Task, const TaskContext&>;

}  // namespace triptych

#define TRIPTYCH_REGISTER_TASK(name, type) \
  TRIPTYCH_REGISTER_COMPONENT(::triptych::TaskRegistry, name, type)
