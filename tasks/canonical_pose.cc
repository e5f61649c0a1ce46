// SPDX-License-Identifier: Apache-2.0
#include "framework/core/error.h"
#include "framework/core/nn.h"
#include "framework/image/point_alignment.h"
#include "framework/learn/task.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include <Eigen/Geometry>

namespace triptych {
namespace {

/// Positions of a lattice over the canonical grid and where the sample has them.
struct PosedLattice {
  at::Tensor canonical;  ///< [P, 3] in mm (LPS), from the middle of the grid
  at::Tensor posed;      ///< [P, 3] in mm (LPS)
};

/// At most about kLattice positions along each axis. `displacement` [1, 3, D, H, W] in mm leads
/// from the canonical frame to the sample.
PosedLattice posed_lattice(const at::Tensor& displacement, const Geometry& grid) {
  constexpr std::int64_t kLattice = 8;
  std::array<at::Tensor, 3> index;  // along D, H, W
  at::Tensor u = displacement[0];
  for (std::size_t axis = 0; axis < 3; ++axis) {
    const std::int64_t size = grid.shape[axis];
    const std::int64_t step = std::max<std::int64_t>(1, size / kLattice);
    index[axis] = torch::arange((size - 1) % step / 2, size, step, torch::kLong);
    u = u.index_select(static_cast<std::int64_t>(axis) + 1, index[axis].to(u.device()));
  }
  const auto [d, h, w] = index;
  const auto lattice = torch::meshgrid({d, h, w}, "ij");
  const Eigen::Matrix3d step = grid.step_mm();
  const std::array<std::size_t, 3> axis_of{2, 1, 0};
  std::vector<at::Tensor> canonical, world;
  for (int row = 0; row < 3; ++row) {
    at::Tensor from_middle = torch::zeros(u[0].sizes(), torch::kDouble);
    double middle = grid.origin[row];
    for (int column = 0; column < 3; ++column) {
      const std::size_t axis = axis_of[static_cast<std::size_t>(column)];
      const double half = 0.5 * static_cast<double>(grid.shape[axis] - 1);
      from_middle = from_middle + (lattice[axis].to(torch::kDouble) - half) * step(row, column);
      middle += half * step(row, column);
    }
    canonical.push_back(from_middle.flatten());
    world.push_back((from_middle + middle).flatten());
  }
  const auto as_points = [&](const std::vector<at::Tensor>& components) {
    return torch::stack(components, 1).to(u.options());
  };
  return {as_points(canonical), as_points(world) + u.flatten(1).t()};
}

/// Where a predicted pose, points [4, 3] as of the head canonical_pose, puts canonical positions.
at::Tensor posed_by(const at::Tensor& pose, const at::Tensor& canonical) {
  const at::Tensor axes = pose.narrow(0, 1, 3) - pose[0];  // rows are the axes
  return torch::matmul(canonical, axes) + pose[0];
}

PointList point_list(const at::Tensor& points) {
  const at::Tensor values = points.detach().to(torch::kCPU, torch::kDouble).contiguous();
  const auto* v = values.data_ptr<double>();
  PointList list;
  for (std::int64_t i = 0; i < values.size(0); ++i, v += 3) list.emplace_back(v[0], v[1], v[2]);
  return list;
}

/// Angle in degrees between the rotation of the predicted pose and that of the lattice.
double angle_error_deg(const at::Tensor& pose, const PosedLattice& truth) {
  const auto rotation = [&](const at::Tensor& posed) {
    return Eigen::Matrix3d(
        align_points(point_list(truth.canonical), point_list(posed)).moving_from_fixed.matrix);
  };
  const Eigen::AngleAxisd between(rotation(posed_by(pose, truth.canonical)).transpose() *
                                  rotation(truth.posed));
  return std::abs(between.angle()) * 180.0 / std::numbers::pi;
}

/// Distances [P] in mm between the predicted and the true places of the lattice.
at::Tensor distances(const at::Tensor& pose, const PosedLattice& truth) {
  constexpr double kTinyMm2 = 1e-12;
  return ((posed_by(pose, truth.canonical) - truth.posed).square().sum(1) + kTinyMm2).sqrt();
}

class PoseMetrics final : public MetricAccumulator {
 public:
  void add(const Prediction& prediction, const Batch& batch) override {
    const BatchEntry& truth = batch.at("displacement");
    for (std::size_t row = 0; row < truth.items.size(); ++row) {
      const auto i = static_cast<std::int64_t>(row);
      add_item(prediction.value[truth.items[row]],
               lattice_of(truth, i, batch.at("canonical").geometry[row]));
    }
  }
  void add_volume(const Prediction& predicted, const Geometry&, const Sample& reference) override {
    const Entry& truth = reference.at("displacement");
    add_item(predicted.value[0], posed_lattice(truth.data.unsqueeze(0), truth.geometry));
  }
  std::vector<double> state() const override { return {angle_deg_, within_, distance_mm_, items_}; }
  void merge(const std::vector<double>& state) override {
    TRIPTYCH_ASSERT(state.size() == 4);
    angle_deg_ += state[0];
    within_ += state[1];
    distance_mm_ += state[2];
    items_ += state[3];
  }
  std::vector<MetricValue> values() const override {
    return {{"distance_mm/mean", distance_mm_ / items_, Direction::kLowerIsBetter},
            {"angle_deg/mean", angle_deg_ / items_, Direction::kLowerIsBetter},
            {"angle_deg/within_15", within_ / items_, Direction::kHigherIsBetter}};
  }

  static PosedLattice lattice_of(const BatchEntry& truth, std::int64_t row, const Geometry& grid) {
    const at::Tensor field = truth.data.narrow(0, row, 1);
    if (!truth.valid) return posed_lattice(field, grid);
    const auto& [depth, height, width] = truth.valid->size;
    return posed_lattice(field.narrow(2, 0, depth).narrow(3, 0, height).narrow(4, 0, width),
                         grid.cropped(*truth.valid));
  }

 private:
  void add_item(const at::Tensor& pose, const PosedLattice& truth) {
    constexpr double kNear_deg = 15.0;
    const double angle = angle_error_deg(pose, truth);
    angle_deg_ += angle;
    within_ += angle <= kNear_deg ? 1.0 : 0.0;
    distance_mm_ += distances(pose, truth).mean().item<double>();
    items_ += 1.0;
  }

  double angle_deg_ = 0.0, within_ = 0.0, distance_mm_ = 0.0, items_ = 0.0;
};

/// The pose of a sample in the frame that its data set is stored in. No pose needs to be known: the
/// transform own_frame gives the role `image` a frame of its own and the true displacement to it,
/// `spatial` then turns it at random. Loss: the mean distance in mm between where the predicted
/// pose and the displacement put a lattice over the canonical grid.
///
/// Samples should be stored alike, and a shape that looks the same after a turn has no unique pose.
class CanonicalPoseTask final : public Task {
 public:
  struct Config {
    std::map<std::string, std::string> roles = {
        {"image", "image"}, {"canonical", "image"}, {"displacement", "image"}};
    void visit(auto& field) {
      field("roles",
            roles,
            "role: entry of the dataset that plays it; canonical and displacement are what "
            "own_frame leaves and makes, of any entry, beside others that the transforms read");
    }
    void validate(config::Problems& problems) const {
      for (const char* role : {"image", "canonical", "displacement"}) {
        if (!roles.contains(role))
          problems.add("roles", fmt::format("expects an entry for the role '{}'", role));
      }
    }
  };

  CanonicalPoseTask(const Config& config, const TaskContext& context)
      : config_(config), context_(context) {
    if (context.head_channels != 4 && context.head_channels != context.classes.size()) {
      throw ConfigError("schema",
                        fmt::format("tasks.{}.head: expected a head that predicts poses, got one "
                                    "of {} channels",
                                    context.key,
                                    context.head_channels),
                        "canonical_pose does");
    }
  }

  std::vector<RoleBinding> roles() const override {
    std::vector<RoleBinding> bindings;
    for (const auto& [role, entry] : config_.roles)
      bindings.push_back({role, entry, true, role != "image"});
    return bindings;
  }
  /// own_frame asks for a reference that stays.
  std::string reference_role() const override { return "canonical"; }

  std::vector<LossTerm> losses(const Prediction& prediction, const Batch& batch) const override {
    const BatchEntry& truth = batch.at("displacement");
    if (truth.kind != EntryKind::kVectorField) {
      throw data_error(
          fmt::format("task {}: expected a displacement in the role 'displacement', got a {}",
                      context_.key,
                      kind_text(truth.kind)),
          "the transform {name: own_frame, entries: [image]} makes it");
    }
    std::vector<at::Tensor> means;
    for (std::size_t row = 0; row < truth.items.size(); ++row) {
      const PosedLattice lattice = PoseMetrics::lattice_of(
          truth, static_cast<std::int64_t>(row), batch.at("canonical").geometry[row]);
      means.push_back(distances(prediction.value[truth.items[row]], lattice).mean());
    }
    return {{"distance_mm", torch::stack(means).mean()}};
  }
  std::unique_ptr<MetricAccumulator> metrics() const override {
    return std::make_unique<PoseMetrics>();
  }
  std::string main_metric() const override { return "distance_mm/mean"; }
  VolumePrediction volume_prediction() const override { return VolumePrediction::kGlobal; }
  at::Tensor activate(const Prediction& prediction) const override { return prediction.value; }
  const TaskContext& context() const override { return context_; }
  /// None: a pose has no voxels to draw.
  PictureRoles picture_roles() const override { return {.image = "", .reference = ""}; }

 private:
  Config config_;
  TaskContext context_;
};

}  // namespace
TRIPTYCH_REGISTER_TASK("canonical_pose", CanonicalPoseTask)
}  // namespace triptych
