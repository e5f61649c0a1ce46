// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tests/data/memory_dataset.h"

#include <cmath>

#include <Eigen/Geometry>

namespace triptych::testing {

/// A sample whose entries all tell of the same five balls in one frame: a bright smooth spot in the
/// image, a class in the label, a landmark at the centre. On an oblique grid with unequal voxels
/// (equal ones when H = W).
struct BallScene {
  explicit BallScene(const Index3& shape = {20, 24, 28}, const std::string& frame = "world") {
    geometry.shape = shape;
    geometry.spacing = {0.5, 0.6, 0.8};
    if (shape[1] == shape[2]) geometry.spacing.setConstant(0.6);  // so that axes may be exchanged
    geometry.origin = {10.0, -20.0, 5.0};
    geometry.direction =
        Eigen::AngleAxisd(0.4, Eigen::Vector3d(1.0, 2.0, 3.0).normalized()).toRotationMatrix();
    const bool flat = shape[0] == 1;
    for (const auto& place : {Eigen::Vector3d{0.5, 0.5, 0.5},
                              {0.3, 0.4, 0.35},
                              {0.7, 0.3, 0.6},
                              {0.35, 0.7, 0.65},
                              {0.65, 0.65, 0.4}}) {
      Eigen::Vector3d centre;
      for (int axis = 0; axis < 3; ++axis)
        centre[axis] = std::round(
            place[axis] * static_cast<double>(shape[static_cast<std::size_t>(2 - axis)] - 1));
      if (flat) centre[2] = 0.0;
      centres.push_back(centre);
    }
    const at::Tensor image = at::zeros({1, shape[0], shape[1], shape[2]});
    const at::Tensor label = at::zeros({1, shape[0], shape[1], shape[2]}, at::kLong);
    auto value = image.accessor<float, 4>();
    auto index = label.accessor<std::int64_t, 4>();
    for (std::int64_t d = 0; d < shape[0]; ++d) {
      for (std::int64_t h = 0; h < shape[1]; ++h) {
        for (std::int64_t w = 0; w < shape[2]; ++w) {
          const Eigen::Vector3d voxel(
              static_cast<double>(w), static_cast<double>(h), static_cast<double>(d));
          for (const Eigen::Vector3d& centre : centres) {
            value[0][d][h][w] +=
                static_cast<float>(std::exp(-(voxel - centre).squaredNorm() / 8.0));
          }
          index[0][d][h][w] = value[0][d][h][w] > 0.5F ? 1 : 0;
        }
      }
    }
    const at::Tensor points =
        at::empty({static_cast<std::int64_t>(centres.size()), 3}, at::kDouble);
    for (std::size_t i = 0; i < centres.size(); ++i) {
      Eigen::Map<Eigen::Vector3d>(points.data_ptr<double>() + 3 * i) =
          geometry.world_from_index(centres[i]);
    }
    sample.id = "balls";
    sample.entries["image"] = {EntryKind::kIntensity, image, geometry, "", frame, "", nullptr};
    sample.entries["label"] = {EntryKind::kLabel, label, geometry, "", frame, "", nullptr};
    sample.entries["points"] = {EntryKind::kPoints, points, geometry, "", frame, "", nullptr};
  }

  Geometry geometry;
  std::vector<Eigen::Vector3d> centres;
  Sample sample;
};

inline Eigen::Vector3d point_of(const Entry& points, std::int64_t i) {
  return Eigen::Map<const Eigen::Vector3d>(points.data.data_ptr<double>() + 3 * i);
}

/// Linear interpolation of a channel at a world position; NaN outside.
inline double value_at(const Entry& entry, const Eigen::Vector3d& world, std::int64_t channel = 0) {
  const Eigen::Vector3d index = entry.geometry.index_from_world(world);
  const at::Tensor data = entry.data.select(0, channel).to(at::kDouble).contiguous();
  double sum = 0.0;
  for (int corner = 0; corner < 8; ++corner) {
    double weight = 1.0;
    std::int64_t place[3];
    for (int axis = 0; axis < 3; ++axis) {
      const std::int64_t last = entry.geometry.shape[static_cast<std::size_t>(2 - axis)] - 1;
      if (index[axis] < -0.5 || index[axis] > static_cast<double>(last) + 0.5) return std::nan("");
      const double position = std::min(std::max(index[axis], 0.0), static_cast<double>(last));
      const double lower = std::min(std::floor(position), static_cast<double>(last));
      const bool upper = (corner >> axis & 1) != 0;
      weight *= upper ? position - lower : 1.0 - (position - lower);
      place[axis] = std::min(last, static_cast<std::int64_t>(lower) + (upper ? 1 : 0));
    }
    sum += weight * data[place[2]][place[1]][place[0]].item<double>();
  }
  return sum;
}

}  // namespace triptych::testing
