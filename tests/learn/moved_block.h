// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/config/yaml_reader.h"
#include "framework/core/nn.h"
#include "framework/learn/task.h"

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace triptych::testing {

inline constexpr std::int64_t kEdge = 16;
inline constexpr double kSpacing = 0.5;  // mm

inline Geometry cube(std::int64_t depth = kEdge) {
  Geometry geometry;
  geometry.shape = {depth, kEdge, kEdge};
  geometry.spacing.setConstant(kSpacing);
  geometry.origin = {2.0, -1.0, 4.0};
  return geometry;
}

/// The same displacement everywhere, [1, 3, D, H, W] in mm.
inline at::Tensor translation(double x, double y, double z, std::int64_t depth = kEdge) {
  return torch::tensor({x, y, z}, torch::kFloat)
      .view({1, 3, 1, 1, 1})
      .expand({1, 3, depth, kEdge, kEdge})
      .contiguous();
}

/// A bright cube of 6 voxels whose first voxel is at `first` along W.
inline at::Tensor block(std::int64_t first) {
  at::Tensor labels = torch::zeros({1, 1, kEdge, kEdge, kEdge}, torch::kLong);
  labels.narrow(2, 5, 6).narrow(3, 5, 6).narrow(4, first, 6).fill_(1);
  return labels;
}

inline double metric_of(const std::vector<MetricValue>& values, const std::string& name) {
  for (const MetricValue& value : values) {
    if (value.name == name) return value.value;
  }
  ADD_FAILURE() << "no metric " << name;
  return std::nan("");
}

inline BatchEntry pair_entry(const at::Tensor& data, EntryKind kind = EntryKind::kIntensity) {
  BatchEntry entry;
  entry.kind = kind;
  entry.data = data;
  for (std::int64_t i = 0; i < data.size(0); ++i) entry.items.push_back(i);
  entry.geometry.assign(static_cast<std::size_t>(data.size(0)), cube(data.size(2)));
  return entry;
}

inline BatchEntry points_entry(const at::Tensor& points) {
  BatchEntry entry;
  entry.kind = EntryKind::kPoints;
  entry.points = {points};
  entry.items = {0};
  entry.geometry = {cube()};
  return entry;
}

/// The block moved by 2 voxels along W, with everything known.
inline Batch moved_block() {
  Batch batch;
  batch.ids = {"pair"};
  batch.entries["fixed"] = pair_entry(block(4).to(torch::kFloat));
  batch.entries["moving"] = pair_entry(block(6).to(torch::kFloat));
  batch.entries["fixed_label"] = pair_entry(block(4), EntryKind::kLabel);
  batch.entries["moving_label"] = pair_entry(block(6), EntryKind::kLabel);
  batch.entries["displacement"] =
      pair_entry(translation(2.0 * kSpacing, 0.0, 0.0), EntryKind::kVectorField);
  const at::Tensor point = torch::tensor({{5.1, 2.2, 7.3}, {4.0, 2.0, 6.0}}, torch::kDouble);
  batch.entries["fixed_points"] = points_entry(point);
  batch.entries["moving_points"] =
      points_entry(point + torch::tensor({2.0 * kSpacing, 0.0, 0.0}, torch::kDouble));
  return batch;
}

inline std::shared_ptr<Task> task_of(const std::string& yaml, std::int64_t classes = 2) {
  const config::Node node = config::parse_yaml(yaml, "task.yaml");
  return TaskRegistry::instance().create(node, TaskContext{"pair", numbered_classes(classes), 3});
}

inline const std::string kAllRoles =
    "roles: {fixed: a, moving: b, fixed_label: c, moving_label: d, fixed_points: e, moving_points: "
    "f, displacement: g}";

inline double term(const std::vector<LossTerm>& terms, const std::string& name) {
  for (const LossTerm& each : terms) {
    if (each.name == name) return each.value.item<double>();
  }
  ADD_FAILURE() << "no term " << name;
  return std::nan("");
}

}  // namespace triptych::testing
