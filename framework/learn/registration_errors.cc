// SPDX-License-Identifier: Apache-2.0
#include "framework/learn/registration_errors.h"

#include "framework/core/error.h"
#include "framework/core/shape.h"
#include "framework/ops/jacobian.h"
#include "framework/ops/warp.h"

#include <algorithm>
#include <cmath>
#include <span>

#include <ATen/ATen.h>

namespace triptych {
namespace {

constexpr double kWorstShare = 0.3;

/// Continuous voxel indices [P, 3] (x, y, z) of world positions.
at::Tensor voxel_indices(const Geometry& grid, const at::Tensor& points) {
  const at::Tensor world = points.to(at::kCPU, at::kDouble).contiguous();
  const at::Tensor indices = at::empty_like(world);
  for (std::int64_t i = 0; i < world.size(0); ++i) {
    Eigen::Map<Eigen::Vector3d>(indices.data_ptr<double>() + 3 * i) =
        grid.index_from_world(Eigen::Map<const Eigen::Vector3d>(world.data_ptr<double>() + 3 * i));
  }
  return indices;
}

at::Tensor last_indices(const Geometry& grid) {
  return at::tensor({grid.shape[2] - 1, grid.shape[1] - 1, grid.shape[0] - 1}, at::kDouble);
}

double worst_mean(at::Tensor distances) {
  const auto count =
      std::max<std::int64_t>(1, std::llround(kWorstShare * static_cast<double>(distances.numel())));
  return std::get<0>(distances.topk(count)).mean().item<double>();
}

double mean_of(double sum, double count) { return count > 0.0 ? sum / count : std::nan(""); }

}  // namespace

at::Tensor points_within(const Geometry& grid, const at::Tensor& points) {
  const at::Tensor index = voxel_indices(grid, points);
  return ((index >= -0.5) & (index <= last_indices(grid) + 0.5)).all(1);
}

at::Tensor values_at(const at::Tensor& image, const Geometry& grid, const at::Tensor& points) {
  check_shape(image, {1, kAny, grid.shape[0], grid.shape[1], grid.shape[2]}, "image");
  const at::Tensor last = last_indices(grid);
  const at::Tensor index = at::minimum(voxel_indices(grid, points).clamp_min(0.0), last);
  const at::Tensor lower = index.floor();
  const at::Tensor fraction = index - lower;
  const at::Tensor voxels = image[0].flatten(1).t();  // [V, C]
  at::Tensor result = at::zeros({points.size(0), image.size(1)}, voxels.options());
  for (int corner = 0; corner < 8; ++corner) {
    at::Tensor weight = at::ones({points.size(0)}, at::kDouble);
    at::Tensor place = at::zeros({points.size(0)}, at::kDouble);
    for (int axis = 2; axis >= 0; --axis) {
      const bool upper = (corner >> axis & 1) != 0;
      const at::Tensor part = fraction.select(1, axis);
      weight = weight * (upper ? part : 1.0 - part);
      const at::Tensor along = at::minimum(lower.select(1, axis) + (upper ? 1.0 : 0.0), last[axis]);
      place = place * (last[axis] + 1.0) + along;
    }
    const at::Tensor value = voxels.index_select(0, place.to(voxels.device(), at::kLong));
    result = result + weight.to(voxels.options()).unsqueeze(1) * value;
  }
  return result;
}

RegistrationErrors::RegistrationErrors(const ClassTable& classes)
    : classes_(classes),
      methods_{Method{{}, ConfusionMatrix(std::max<std::int64_t>(classes.size(), 1))},
               Method{{}, ConfusionMatrix(std::max<std::int64_t>(classes.size(), 1))}} {}

void RegistrationErrors::add(const at::Tensor& displacement_mm,
                             const Geometry& grid,
                             const PairTruth& truth,
                             bool surfaces) {
  add_method(methods_[0], displacement_mm, grid, truth, surfaces);
  add_method(methods_[1], at::zeros_like(displacement_mm), grid, truth, surfaces);
  const at::Tensor determinant = jacobian_determinant(displacement_mm, grid);
  const JacobianStatistics statistics = jacobian_statistics(determinant);
  const auto voxels = static_cast<double>(determinant.numel());
  folded_ += statistics.folded_share * voxels;
  jacobian_voxels_ += voxels;
  if (std::isnan(statistics.log_deviation)) return;
  log_deviation_ += statistics.log_deviation;
  log_deviations_ += 1.0;
}

void RegistrationErrors::add_method(Method& method,
                                    const at::Tensor& displacement_mm,
                                    const Geometry& grid,
                                    const PairTruth& truth,
                                    bool surfaces) const {
  if (truth.displacement.defined()) {
    const at::Tensor error = (displacement_mm - truth.displacement).to(at::kDouble);
    method.sums.endpoint_mm += error.square().sum(1).sqrt().sum().item<double>();
    method.sums.voxels += static_cast<double>(error.numel() / 3);
  }
  if (truth.fixed_points.defined() && truth.moving_points.defined())
    add_landmarks(method.sums, displacement_mm, grid, truth);
  if (!truth.fixed_label.defined() || !truth.moving_label.defined()) return;
  const at::Tensor carried =
      warp_labels(truth.moving_label, truth.moving_label_grid, displacement_mm, grid, 0)
          .clamp_min(0);
  method.overlap.add(carried, truth.fixed_label);
  if (surfaces) add_surfaces(method.sums, carried, truth.fixed_label, grid);
}

void RegistrationErrors::add_landmarks(Sums& sums,
                                       const at::Tensor& displacement_mm,
                                       const Geometry& grid,
                                       const PairTruth& truth) {
  const at::Tensor inside = points_within(grid, truth.fixed_points).nonzero().squeeze(1);
  if (inside.numel() == 0) return;
  const at::Tensor fixed = truth.fixed_points.index_select(0, inside);
  const at::Tensor mapped = fixed + values_at(displacement_mm, grid, fixed).to(at::kDouble);
  const at::Tensor distances =
      (mapped - truth.moving_points.index_select(0, inside)).square().sum(1).sqrt();
  sums.landmark_mm += distances.sum().item<double>();
  sums.landmarks += static_cast<double>(distances.numel());
  sums.worst_mm += worst_mean(distances);
  sums.landmark_pairs += 1.0;
}

void RegistrationErrors::add_surfaces(Sums& sums,
                                      const at::Tensor& carried,
                                      const at::Tensor& fixed_label,
                                      const Geometry& grid) const {
  const at::Tensor labelled = fixed_label >= 0;
  for (std::int64_t label = 1; label < classes_.size(); ++label) {
    const at::Tensor reference = (fixed_label == label)[0][0];
    if (!reference.any().item<bool>()) continue;
    const double hd95 =
        surface_distance(((carried == label) & labelled)[0][0], reference, grid).hd95;
    if (std::isnan(hd95)) continue;
    sums.hd95_mm += hd95;
    sums.hd95_count += 1.0;
  }
}

std::vector<double> RegistrationErrors::state() const {
  std::vector<double> numbers{folded_, jacobian_voxels_, log_deviation_, log_deviations_};
  for (const Method& method : methods_) {
    const Sums& s = method.sums;
    numbers.insert(numbers.end(),
                   {s.endpoint_mm,
                    s.voxels,
                    s.landmark_mm,
                    s.landmarks,
                    s.worst_mm,
                    s.landmark_pairs,
                    s.hd95_mm,
                    s.hd95_count});
    numbers.insert(numbers.end(), method.overlap.counts().begin(), method.overlap.counts().end());
  }
  return numbers;
}

void RegistrationErrors::merge(const std::vector<double>& state) {
  const std::size_t counts = methods_[0].overlap.counts().size();
  TRIPTYCH_ASSERT(state.size() == 4 + 2 * (8 + counts));
  const double* number = state.data();
  for (double* sum : {&folded_, &jacobian_voxels_, &log_deviation_, &log_deviations_})
    *sum += *number++;
  for (Method& method : methods_) {
    Sums& s = method.sums;
    for (double* sum : {&s.endpoint_mm,
                        &s.voxels,
                        &s.landmark_mm,
                        &s.landmarks,
                        &s.worst_mm,
                        &s.landmark_pairs,
                        &s.hd95_mm,
                        &s.hd95_count})
      *sum += *number++;
    method.overlap.add_counts(std::span(number, counts));
    number += counts;
  }
}

std::vector<MetricValue> RegistrationErrors::values() const {
  std::vector<MetricValue> values;
  add_values("", methods_[0], values);
  if (jacobian_voxels_ > 0.0) {
    values.push_back({"folded_share", folded_ / jacobian_voxels_, Direction::kLowerIsBetter});
    values.push_back(
        {"log_jacobian_sd", mean_of(log_deviation_, log_deviations_), Direction::kLowerIsBetter});
  }
  add_values("trivial/", methods_[1], values);
  return values;
}

void RegistrationErrors::add_values(const std::string& prefix,
                                    const Method& method,
                                    std::vector<MetricValue>& values) const {
  const Sums& s = method.sums;
  const auto lower = [&](const char* name, double value) {
    values.push_back({prefix + name, value, Direction::kLowerIsBetter});
  };
  if (s.voxels > 0.0) lower("epe_mm/mean", s.endpoint_mm / s.voxels);
  if (s.landmarks > 0.0) {
    lower("tre_mm/mean", s.landmark_mm / s.landmarks);
    lower("tre_mm/worst_30", s.worst_mm / s.landmark_pairs);
  }
  if (method.overlap.total() == 0) return;
  values.push_back({prefix + "dice/mean", method.overlap.foreground_mean(&ConfusionMatrix::dice)});
  for (std::int64_t label = 1; label < classes_.size(); ++label) {
    values.push_back({prefix + "dice/" + classes_.classes[static_cast<std::size_t>(label)].name,
                      method.overlap.dice(label)});
  }
  if (s.hd95_count > 0.0) lower("hd95_mm/mean", s.hd95_mm / s.hd95_count);
}

}  // namespace triptych
