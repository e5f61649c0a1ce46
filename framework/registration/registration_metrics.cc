// SPDX-License-Identifier: Apache-2.0
#include "framework/registration/registration_metrics.h"

#include "framework/core/error.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numbers>
#include <numeric>

#include <ATen/ATen.h>
#include <Eigen/Geometry>
#include <Eigen/SVD>

namespace triptych {

namespace {

bool unlabelled(const Landmarks& landmarks) {
  return std::all_of(
      landmarks.begin(), landmarks.end(), [](const Landmark& l) { return l.label.empty(); });
}

std::map<std::string, Eigen::Vector3d> by_label(const Landmarks& landmarks,
                                                const std::string& place) {
  std::map<std::string, Eigen::Vector3d> result;
  for (const Landmark& landmark : landmarks) {
    if (result.emplace(landmark.label, landmark.position_mm).second) continue;
    throw data_error(
        fmt::format("{}: expected every label once, got '{}' twice", place, landmark.label));
  }
  return result;
}

LandmarkPairs paired_by_order(const Landmarks& fixed,
                              const Landmarks& moving,
                              const std::string& fixed_place,
                              const std::string& moving_place) {
  if (fixed.size() != moving.size() || fixed.empty()) {
    throw data_error(
        fmt::format("{} and {}: expected as many points in both where they have no labels, got {} "
                    "and {}",
                    fixed_place,
                    moving_place,
                    fixed.size(),
                    moving.size()),
        "name them in a column 'label'");
  }
  LandmarkPairs pairs;
  for (std::size_t i = 0; i < fixed.size(); ++i) {
    pairs.labels.push_back(std::to_string(i + 1));
    pairs.fixed.push_back(fixed[i].position_mm);
    pairs.moving.push_back(moving[i].position_mm);
  }
  return pairs;
}

}  // namespace

LandmarkPairs match_landmarks(const Landmarks& fixed,
                              const Landmarks& moving,
                              const std::string& fixed_place,
                              const std::string& moving_place) {
  if (unlabelled(fixed) && unlabelled(moving))
    return paired_by_order(fixed, moving, fixed_place, moving_place);
  by_label(fixed, fixed_place);
  auto partners = by_label(moving, moving_place);
  LandmarkPairs pairs;
  for (const Landmark& landmark : fixed) {
    const auto partner = partners.find(landmark.label);
    if (partner == partners.end()) {
      pairs.only_fixed.push_back(landmark.label);
      continue;
    }
    pairs.labels.push_back(landmark.label);
    pairs.fixed.push_back(landmark.position_mm);
    pairs.moving.push_back(partner->second);
    partners.erase(partner);
  }
  for (const auto& [label, position] : partners) pairs.only_moving.push_back(label);
  if (pairs.labels.empty()) {
    const auto example = [](const Landmarks& list) {
      return list.empty() ? "" : fmt::format(" ('{}', ...)", list.front().label);
    };
    throw data_error(
        fmt::format("{} and {}: expected labels that both images have, got {} points{} and {}{}",
                    fixed_place,
                    moving_place,
                    fixed.size(),
                    example(fixed),
                    moving.size(),
                    example(moving)),
        "give equal points equal labels");
  }
  return pairs;
}

std::vector<double> registration_errors(const LandmarkPairs& pairs,
                                        const SpatialTransform& moving_from_fixed) {
  std::vector<double> errors;
  for (std::size_t i = 0; i < pairs.fixed.size(); ++i)
    errors.push_back((moving_from_fixed.map(pairs.fixed[i]) - pairs.moving[i]).norm());
  return errors;
}

ErrorSummary summarise(std::vector<double> errors) {
  TRIPTYCH_ASSERT(!errors.empty());
  std::sort(errors.begin(), errors.end());
  const std::size_t count = errors.size();
  const auto mean_from = [&](std::size_t first) {
    return std::accumulate(errors.begin() + static_cast<std::ptrdiff_t>(first), errors.end(), 0.0) /
           static_cast<double>(count - first);
  };
  const auto worst = static_cast<std::size_t>(std::ceil(0.3 * static_cast<double>(count)));
  return {mean_from(0),
          0.5 * (errors[(count - 1) / 2] + errors[count / 2]),
          mean_from(count - worst),
          errors.back()};
}

ReferenceError reference_error(const SpatialTransform& moving_from_fixed,
                               const SpatialTransform& reference,
                               const Geometry& grid) {
  constexpr std::int64_t kLattice = 32;
  Index3 step;
  for (std::size_t axis = 0; axis < 3; ++axis)
    step[axis] = (grid.shape[axis] + kLattice - 1) / kLattice;
  const auto error_at = [&](double x, double y, double z) {
    const Eigen::Vector3d place = grid.world_from_index({x, y, z});
    return (moving_from_fixed.map(place) - reference.map(place)).norm();
  };
  ReferenceError error;
  std::int64_t places = 0;
  for (std::int64_t d = 0; d < grid.shape[0]; d += step[0]) {
    for (std::int64_t h = 0; h < grid.shape[1]; h += step[1]) {
      for (std::int64_t w = 0; w < grid.shape[2]; w += step[2]) {
        const double distance =
            error_at(static_cast<double>(w), static_cast<double>(h), static_cast<double>(d));
        error.mean += distance;
        error.largest = std::max(error.largest, distance);
        ++places;
      }
    }
  }
  error.mean /= static_cast<double>(places);
  const auto middle = [&](std::size_t axis) {
    return 0.5 * static_cast<double>(grid.shape[axis] - 1);
  };
  error.centre = error_at(middle(2), middle(1), middle(0));
  error.rotation_deg = std::numeric_limits<double>::quiet_NaN();
  if (moving_from_fixed.is_affine() && reference.is_affine()) {
    const Eigen::Matrix3d difference =
        moving_from_fixed.affine().matrix * reference.affine().inverse().matrix;
    const Eigen::JacobiSVD<Eigen::Matrix3d> svd(difference,
                                                Eigen::ComputeFullU | Eigen::ComputeFullV);
    const Eigen::Matrix3d rotation = svd.matrixU() * svd.matrixV().transpose();
    error.rotation_deg = Eigen::AngleAxisd(rotation).angle() * 180.0 / std::numbers::pi;
  }
  return error;
}

at::Tensor jacobian_determinant(const SpatialTransform& transform, const Geometry& grid) {
  return jacobian_determinant(displacement_on(transform, grid).unsqueeze(0), grid);
}

}  // namespace triptych
