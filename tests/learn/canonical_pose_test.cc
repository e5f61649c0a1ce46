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
using testing::metric_of;
using testing::near;
using testing::pair_entry;

using Places = std::vector<Eigen::Vector3d>;  ///< voxels x, y, z

const Places kPlaces{{10, 5, 4}, {8, 9, 5}, {6, 6, 8}, {7, 11, 11}};
const Places kFlat{{10, 5, 0}, {8, 9, 0}, {6, 6, 0}, {7, 11, 0}};

/// Maps with a peak each, of an image on `grid`.
class PeakInputs final : public HeadInputs {
 public:
  PeakInputs(const Geometry& grid, const Places& places) {
    const auto count = static_cast<std::int64_t>(places.size());
    at::Tensor maps = torch::zeros({1, count, grid.shape[0], kEdge, kEdge});
    for (std::int64_t i = 0; i < count; ++i) {
      const Eigen::Vector3d& place = places[static_cast<std::size_t>(i)];
      maps[0][i][std::lround(place[2])][std::lround(place[1])][std::lround(place[0])] = 80.0;
    }
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

constexpr double kUnit_mm = 0.5;

Eigen::Vector3d mean_of(const Places& positions) {
  Eigen::Vector3d sum = Eigen::Vector3d::Zero();
  for (const Eigen::Vector3d& position : positions) sum += position;
  return sum / static_cast<double>(positions.size());
}

/// A head that sees the maps as they are and knows the canonical positions of their places.
std::shared_ptr<Head> head_of(const Places& canonical,
                              const PyramidSpec& spec,
                              const Eigen::Vector3d& offset = Eigen::Vector3d::Zero()) {
  const auto count = static_cast<std::int64_t>(canonical.size());
  const auto head = HeadRegistry::instance().create(
      config::parse_yaml(
          fmt::format("{{name: canonical_pose, spacing_mm: {}, points: {}}}", kUnit_mm, count),
          "head.yaml"),
      spec);
  const torch::NoGradGuard no_grad;
  auto parameters = head->named_parameters();
  parameters["heat.weight"].copy_(torch::eye(count).view({count, count, 1, 1, 1}));
  for (std::int64_t axis = 0; axis < 3; ++axis) {
    parameters["offset"][axis] = offset[axis];
    for (std::int64_t i = 0; i < count; ++i)
      parameters["canonical"][axis][i] = canonical[static_cast<std::size_t>(i)][axis];
  }
  return head;
}

const PyramidSpec kVolumes{{{4, {1, 1, 1}}}};
const PyramidSpec kSlices{{{4, {1, 1, 1}}, {4, {1, 2, 2}}}};

Geometry turned_cube(std::int64_t depth) {
  Geometry grid = cube(depth);
  grid.direction = Eigen::AngleAxisd(0.7, Eigen::Vector3d(1, -1, 2).normalized()).matrix();
  return grid;
}

/// Positions whose rotation about their mean gives the places on `grid`.
Places unturned(const Places& places, const Geometry& grid, const Eigen::Matrix3d& rotation) {
  Places positions;
  for (const Eigen::Vector3d& place : places) positions.push_back(grid.world_from_index(place));
  const Eigen::Vector3d mean = mean_of(positions);
  for (Eigen::Vector3d& position : positions) position = rotation.transpose() * (position - mean);
  return positions;
}

void expect_pose(const at::Tensor& pose,
                 const Eigen::Vector3d& origin,
                 const Eigen::Matrix3d& rotation) {
  for (int row = 0; row < 3; ++row) {
    EXPECT_NEAR(pose[0][row].item<double>(), origin[row], 1e-4);
    for (int axis = 0; axis < 3; ++axis) {
      EXPECT_NEAR((pose[axis + 1][row] - pose[0][row]).item<double>(), rotation(row, axis), 1e-4);
    }
  }
}

Eigen::Matrix3d half_turn() {
  return Eigen::AngleAxisd(3.1, Eigen::Vector3d(-1, 2, 1).normalized()).matrix();
}

TEST(CanonicalPoseHead, TurnsTheCanonicalPositionsToThePlaces) {
  const Geometry grid = turned_cube(kEdge);
  PeakInputs inputs(grid, kPlaces);
  const Eigen::Vector3d offset(1.0, -2.0, 0.5);
  const auto head = head_of(unturned(kPlaces, grid, half_turn()), kVolumes, offset);
  const Eigen::Vector3d mean = grid.world_from_index(mean_of(kPlaces));
  expect_pose(
      head->forward(inputs).value[0], mean + kUnit_mm * (half_turn() * offset), half_turn());
}

TEST(CanonicalPoseHead, TurnsPlacesInAPlaneToo) {
  const Geometry grid = turned_cube(kEdge);
  Places places = kPlaces;
  for (Eigen::Vector3d& place : places) place[2] = 6.0;
  PeakInputs inputs(grid, places);
  const auto head = head_of(unturned(places, grid, half_turn()), kVolumes);
  expect_pose(head->forward(inputs).value[0], grid.world_from_index(mean_of(places)), half_turn());
}

TEST(CanonicalPoseHead, NeverReflects) {
  const Geometry grid = cube();
  PeakInputs inputs(grid, kPlaces);
  Places mirrored = unturned(kPlaces, grid, half_turn());
  for (Eigen::Vector3d& position : mirrored) position[0] = -position[0];
  const at::Tensor pose = head_of(mirrored, kVolumes)->forward(inputs).value[0].detach();
  const at::Tensor axes = pose.narrow(0, 1, 3) - pose[0];
  EXPECT_NEAR(torch::det(axes).item<double>(), 1.0, 1e-4);
}

TEST(CanonicalPoseHead, StaysInThePlaneOfSlices) {
  const Geometry grid = turned_cube(1);
  PeakInputs inputs(grid, kFlat);
  const Eigen::Matrix3d& plane = grid.direction;
  const Eigen::Matrix3d in_plane = Eigen::AngleAxisd(2.5, Eigen::Vector3d::UnitZ()).matrix();
  Places canonical = unturned(kFlat, grid, plane * in_plane * plane.transpose());
  for (Eigen::Vector3d& position : canonical) position = plane.transpose() * position;
  const Eigen::Vector3d mean = grid.world_from_index(mean_of(kFlat));
  expect_pose(head_of(canonical, kSlices)->forward(inputs).value[0],
              mean,
              plane * in_plane * plane.transpose());
  for (Eigen::Vector3d& position : canonical) position[0] = -position[0];
  const at::Tensor pose = head_of(canonical, kSlices)->forward(inputs).value[0].detach();
  const at::Tensor axes = pose.narrow(0, 1, 3) - pose[0];  // rows
  const at::Tensor normal =
      torch::tensor({plane(0, 2), plane(1, 2), plane(2, 2)}).to(torch::kFloat);
  EXPECT_TRUE(near(torch::matmul(normal, axes), normal, 1e-4));
}

TEST(CanonicalPoseHead, HasTheGradientOfItsRotation) {
  const Geometry grid = cube();
  PeakInputs inputs(grid, kPlaces);
  Places canonical = unturned(kPlaces, grid, half_turn());
  canonical[1] += Eigen::Vector3d(0.5, -0.3, 0.8);  // not congruent
  const auto head = head_of(canonical, kVolumes);
  const at::Tensor factors = torch::tensor({0.3F, -1.0F, 0.7F});
  const auto value = [&] {
    const at::Tensor pose = head->forward(inputs).value[0];
    return ((pose[1] - pose[0]) * factors).sum() + (pose[3] - pose[0])[1];
  };
  value().backward();
  at::Tensor positions = head->named_parameters()["canonical"];
  const torch::NoGradGuard no_grad;
  constexpr double kStep = 0.02;
  for (const auto& [axis, point] : {std::pair{0, 1}, {1, 3}, {2, 0}}) {
    const auto at_step = [&](double step) {
      positions[axis][point] += step;
      const double result = value().item<double>();
      positions[axis][point] -= step;
      return result;
    };
    EXPECT_NEAR(positions.grad()[axis][point].item<double>(),
                (at_step(kStep) - at_step(-kStep)) / (2.0 * kStep),
                1e-3);
  }
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
