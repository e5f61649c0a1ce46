// SPDX-License-Identifier: Apache-2.0
// The head and the task `canonical_pose`.
#include "framework/core/nn.h"
#include "framework/model/head.h"

#include "tests/learn/moved_block.h"
#include "tests/support/tensor_matchers.h"

#include <cmath>
#include <numbers>

#include <Eigen/Geometry>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace triptych {
namespace {

using testing::cube;
using testing::error_message;
using ::testing::HasSubstr;
using testing::kEdge;
using testing::kSpacing;
using testing::metric_of;
using testing::near;
using testing::pair_entry;

/// Four maps with a peak each, of an image on `grid`.
class PeakInputs final : public HeadInputs {
 public:
  explicit PeakInputs(const Geometry& grid) {
    at::Tensor maps = torch::zeros({1, 4, grid.shape[0], kEdge, kEdge});
    for (std::int64_t i = 0; i < 4; ++i) maps[0][i][grid.shape[0] / 2][4 + i][10 - 2 * i] = 80.0;
    pyramid_.levels = {maps};
    batch_.ids = {"item"};
    batch_.entries["image"] = pair_entry(maps.narrow(1, 0, 1));
    batch_.entries["image"].geometry = {grid};
  }
  const FeaturePyramid& features(const std::string&) override { return pyramid_; }
  FeaturePyramid encode(const at::Tensor&, const std::string&) override { return {}; }
  const Batch& batch() const override { return batch_; }
  const Prediction& output_of(const std::string&) override { throw model_error("no other task"); }

 private:
  FeaturePyramid pyramid_;
  Batch batch_;
};

/// A head that sees the four maps as they are and gives `numbers` whatever their places.
std::shared_ptr<Head> head_of(const std::vector<float>& numbers, const PyramidSpec& spec) {
  const auto head = HeadRegistry::instance().create(
      config::parse_yaml("{name: canonical_pose, spacing_mm: 0.5, points: 4}", "head.yaml"), spec);
  const torch::NoGradGuard no_grad;
  auto parameters = head->named_parameters();
  parameters["heat.weight"].copy_(torch::eye(4).view({4, 4, 1, 1, 1}));
  parameters["pose.weight"].zero_();
  parameters["pose.bias"].copy_(torch::tensor(numbers));
  return head;
}

const PyramidSpec kVolumes{{{4, {1, 1, 1}}}};
const PyramidSpec kSlices{{{4, {1, 1, 1}}, {4, {1, 2, 2}}}};

Geometry turned_cube(std::int64_t depth) {
  Geometry grid = cube(depth);
  grid.direction = Eigen::AngleAxisd(0.5 * std::numbers::pi, Eigen::Vector3d::UnitZ()).matrix();
  return grid;
}

TEST(CanonicalPoseHead, OrthogonalisesSixNumbersAndTurnsThemWithTheGrid) {
  const Geometry grid = turned_cube(kEdge);
  PeakInputs inputs(grid);
  // x = (0, 1, 0); y is what (1, 5, 1) has beside it; half of the side is 4 mm.
  const at::Tensor pose =
      head_of({0, 2, 0, 1, 5, 1, 0.5F, 0, -0.25F}, kVolumes)->forward(inputs).value[0];
  const double half = std::sqrt(0.5);
  const Eigen::Vector3d middle = grid.world_from_index({7.5, 7.5, 7.5});
  const Eigen::Vector3d origin = middle + grid.direction * Eigen::Vector3d(2.0, 0.0, -1.0);
  const std::vector<Eigen::Vector3d> axes{{0, 1, 0}, {half, 0, half}, {half, 0, -half}};
  EXPECT_TRUE(
      near(pose[0], torch::tensor({origin[0], origin[1], origin[2]}).to(torch::kFloat), 1e-5));
  for (std::int64_t axis = 0; axis < 3; ++axis) {
    const Eigen::Vector3d end = origin + grid.direction * axes[static_cast<std::size_t>(axis)];
    EXPECT_TRUE(
        near(pose[axis + 1], torch::tensor({end[0], end[1], end[2]}).to(torch::kFloat), 1e-5))
        << axis;
  }
}

TEST(CanonicalPoseHead, ReadsThePlacesOfItsMaps) {
  const Geometry grid = cube();
  PeakInputs inputs(grid);
  const auto head = head_of({1, 0, 0, 0, 1, 0, 0, 0, 0}, kVolumes);
  {  // the origin is the place of the third map: x, y, z of it are numbers 6, 7, 8
    const torch::NoGradGuard no_grad;
    auto parameters = head->named_parameters();
    for (std::int64_t i = 0; i < 3; ++i) parameters["pose.weight"][6 + i][3 * 2 + i] = 1.0;
  }
  const at::Tensor pose = head->forward(inputs).value[0];
  const Eigen::Vector3d place = grid.world_from_index({6.0, 6.0, 8.0});
  EXPECT_TRUE(near(pose[0], torch::tensor({place[0], place[1], place[2]}).to(torch::kFloat), 1e-4));
}

TEST(CanonicalPoseHead, StaysInThePlaneOfSlices) {
  const Geometry grid = turned_cube(1);
  PeakInputs inputs(grid);
  const at::Tensor pose = head_of({0, 3, 0.5F, 0}, kSlices)->forward(inputs).value[0];
  const Eigen::Vector3d origin =
      grid.world_from_index({7.5, 7.5, 0.0}) + grid.direction * Eigen::Vector3d(2.0, 0.0, 0.0);
  EXPECT_TRUE(
      near(pose[0], torch::tensor({origin[0], origin[1], origin[2]}).to(torch::kFloat), 1e-5));
  // Along the grid's second axis, which is the world's -x.
  EXPECT_TRUE(near(pose[1] - pose[0], torch::tensor({-1.0F, 0.0F, 0.0F}), 1e-5));
  EXPECT_TRUE(near(pose[3] - pose[0], torch::tensor({0.0F, 0.0F, 1.0F}), 1e-5));
}

std::shared_ptr<Task> pose_task() {
  return TaskRegistry::instance().create(config::parse_yaml("{name: canonical_pose}", "task.yaml"),
                                         TaskContext{"pose", numbered_classes(2), 4});
}

/// Points [1, 4, 3] of a pose.
at::Tensor pose_points(const Eigen::Matrix3d& rotation, const Eigen::Vector3d& origin) {
  at::Tensor points = torch::empty({1, 4, 3});
  for (int row = 0; row < 3; ++row) {
    points[0][0][row] = origin[row];
    for (int axis = 0; axis < 3; ++axis)
      points[0][axis + 1][row] = origin[row] + rotation(row, axis);
  }
  return points;
}

/// An item that a rotation about the middle of the canonical grid and a shift have moved.
Batch posed_batch(const Eigen::Matrix3d& rotation, const Eigen::Vector3d& shift) {
  const Geometry grid = cube();
  const Eigen::Vector3d middle = grid.world_from_index({7.5, 7.5, 7.5});
  at::Tensor field = torch::empty({1, 3, kEdge, kEdge, kEdge});
  auto values = field.accessor<float, 5>();
  for (std::int64_t z = 0; z < kEdge; ++z) {
    for (std::int64_t y = 0; y < kEdge; ++y) {
      for (std::int64_t x = 0; x < kEdge; ++x) {
        const Eigen::Vector3d place = grid.world_from_index(
            {static_cast<double>(x), static_cast<double>(y), static_cast<double>(z)});
        const Eigen::Vector3d u = rotation * (place - middle) + middle + shift - place;
        for (int axis = 0; axis < 3; ++axis) values[0][axis][z][y][x] = static_cast<float>(u[axis]);
      }
    }
  }
  Batch batch;
  batch.ids = {"item"};
  batch.entries["image"] = pair_entry(torch::zeros({1, 1, kEdge, kEdge, kEdge}));
  batch.entries["canonical"] = batch.entries["image"];
  batch.entries["displacement"] = pair_entry(field, EntryKind::kVectorField);
  return batch;
}

TEST(CanonicalPoseTask, MeasuresAnglesAndDistances) {
  const Eigen::Vector3d middle = cube().world_from_index({7.5, 7.5, 7.5});
  const Eigen::Vector3d shift(1.0, -2.0, 0.5);
  const Eigen::Vector3d axis = Eigen::Vector3d(1, 2, -1).normalized();
  const Eigen::Matrix3d rotation = Eigen::AngleAxisd(2.0, axis).matrix();
  const Batch batch = posed_batch(rotation, shift);
  const auto task = pose_task();
  const auto measured = [&](const at::Tensor& points) {
    const auto metrics = task->metrics();
    metrics->add(Prediction::points(points), batch);
    return metrics->values();
  };
  const at::Tensor right = pose_points(rotation, middle + shift);
  EXPECT_LT(metric_of(measured(right), "angle_deg/mean"), 0.1);
  EXPECT_LT(metric_of(measured(right), "distance_mm/mean"), 1e-4);

  const at::Tensor shifted = pose_points(rotation, middle + shift + Eigen::Vector3d(0.3, 0, 0.4));
  EXPECT_NEAR(metric_of(measured(shifted), "distance_mm/mean"), 0.5, 1e-4);
  EXPECT_NEAR(task->losses(Prediction::points(shifted), batch)[0].value.item<double>(), 0.5, 1e-4);

  const double off_deg = 20.0;
  const Eigen::Matrix3d off =
      rotation *
      Eigen::AngleAxisd(off_deg * std::numbers::pi / 180.0, Eigen::Vector3d::UnitX()).matrix();
  const at::Tensor turned = pose_points(off, middle + shift);
  EXPECT_NEAR(metric_of(measured(turned), "angle_deg/mean"), off_deg, 0.1);
  EXPECT_EQ(metric_of(measured(turned), "angle_deg/within_15"), 0.0);
  EXPECT_EQ(metric_of(measured(right), "angle_deg/within_15"), 1.0);
}

TEST(CanonicalPoseTask, AsksForTheDisplacement) {
  Batch batch = posed_batch(Eigen::Matrix3d::Identity(), Eigen::Vector3d::Zero());
  batch.entries["displacement"].kind = EntryKind::kIntensity;
  const at::Tensor points = pose_points(Eigen::Matrix3d::Identity(), Eigen::Vector3d::Zero());
  EXPECT_THAT(
      error_message("data", [&] { pose_task()->losses(Prediction::points(points), batch); }),
      HasSubstr("expected a displacement"));
  EXPECT_THROW(
      TaskRegistry::instance().create(config::parse_yaml("{name: canonical_pose}", "task.yaml"),
                                      TaskContext{"pose", numbered_classes(2), 3}),
      Error);
}

}  // namespace
}  // namespace triptych
