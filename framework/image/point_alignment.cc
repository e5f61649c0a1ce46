// SPDX-License-Identifier: Apache-2.0
#include "framework/image/point_alignment.h"

#include "framework/core/error.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <Eigen/Dense>
#include <fmt/core.h>

namespace triptych {
namespace {

constexpr double kSingular = 1e-9;  ///< of the largest singular value
constexpr int kMostFits = 100;

using Indices = std::vector<std::size_t>;

/// Mean-free coordinates of the chosen pairs, a column each.
struct CentredPairs {
  CentredPairs(const PointList& fixed_points, const PointList& moving_points, const Indices& chosen)
      : fixed(3, static_cast<Eigen::Index>(chosen.size())), moving(3, fixed.cols()) {
    for (std::size_t i = 0; i < chosen.size(); ++i) {
      fixed.col(static_cast<Eigen::Index>(i)) = fixed_points[chosen[i]];
      moving.col(static_cast<Eigen::Index>(i)) = moving_points[chosen[i]];
    }
    fixed_mean = fixed.rowwise().mean();
    moving_mean = moving.rowwise().mean();
    fixed.colwise() -= fixed_mean;
    moving.colwise() -= moving_mean;
  }
  Eigen::Matrix3Xd fixed, moving;
  Eigen::Vector3d fixed_mean, moving_mean;
};

/// Throws unless the fixed points span `dimensions` of space.
void check_span(const CentredPairs& pairs, int dimensions) {
  const Eigen::Vector3d spread = pairs.fixed.jacobiSvd().singularValues();
  if (spread[dimensions - 1] > kSingular * std::max(spread[0], 1e-300)) return;
  throw data_error(dimensions == 3
                       ? "points to align: expected points that are not all in one plane for an "
                         "affine transform"
                       : "points to align: expected points that are not all on one line",
                   dimensions == 3 ? "fit a rigid or similarity transform" : "");
}

Eigen::Matrix3d rotation_and_scale(const CentredPairs& pairs, bool with_scale) {
  check_span(pairs, 2);
  const Eigen::Matrix3d covariance = pairs.moving * pairs.fixed.transpose();
  const Eigen::JacobiSVD<Eigen::Matrix3d> svd(covariance,
                                              Eigen::ComputeFullU | Eigen::ComputeFullV);
  Eigen::Vector3d signs(1.0, 1.0, 1.0);
  signs[2] = (svd.matrixU() * svd.matrixV().transpose()).determinant() < 0.0 ? -1.0 : 1.0;
  const Eigen::Matrix3d rotation = svd.matrixU() * signs.asDiagonal() * svd.matrixV().transpose();
  if (!with_scale) return rotation;
  return rotation * (svd.singularValues().dot(signs) / pairs.fixed.squaredNorm());
}

Eigen::Matrix3d linear_map(const CentredPairs& pairs) {
  check_span(pairs, 3);
  return pairs.fixed.transpose().colPivHouseholderQr().solve(pairs.moving.transpose()).transpose();
}

AffineMap fit(const PointList& fixed,
              const PointList& moving,
              const Indices& chosen,
              PointTransform transform) {
  const CentredPairs pairs(fixed, moving, chosen);
  AffineMap result;
  result.matrix = transform == PointTransform::kAffine
                      ? linear_map(pairs)
                      : rotation_and_scale(pairs, transform == PointTransform::kSimilarity);
  result.offset = pairs.moving_mean - result.matrix * pairs.fixed_mean;
  return result;
}

void check_points(const PointList& fixed, const PointList& moving, std::size_t least) {
  if (fixed.size() != moving.size()) {
    throw data_error(
        fmt::format("points to align: expected as many moving as fixed points ({}), "
                    "got {}",
                    fixed.size(),
                    moving.size()));
  }
  if (fixed.size() < least) {
    throw data_error(
        fmt::format("points to align: expected at least {} pairs, got {}", least, fixed.size()));
  }
  for (const PointList* list : {&fixed, &moving}) {
    for (std::size_t i = 0; i < list->size(); ++i) {
      if ((*list)[i].allFinite()) continue;
      throw data_error(fmt::format("points to align: point {} of the {} ones is not finite",
                                   i + 1,
                                   list == &fixed ? "fixed" : "moving"));
    }
  }
}

}  // namespace

PointAlignment align_points(const PointList& fixed,
                            const PointList& moving,
                            const AlignmentOptions& options) {
  TRIPTYCH_ASSERT(options.trimmed_share >= 0.0 && options.trimmed_share <= 0.5);
  const std::size_t least = options.transform == PointTransform::kAffine ? 4 : 3;
  check_points(fixed, moving, least);
  Indices order(fixed.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto trimmed =
      static_cast<std::size_t>(options.trimmed_share * static_cast<double>(fixed.size()));
  const std::size_t kept = std::max(least, fixed.size() - trimmed);
  PointAlignment result;
  result.distances_mm.resize(fixed.size());
  Indices chosen = order;
  for (int round = 0; round < kMostFits; ++round) {
    result.moving_from_fixed = fit(fixed, moving, chosen, options.transform);
    for (std::size_t i = 0; i < fixed.size(); ++i)
      result.distances_mm[i] = (result.moving_from_fixed.map(fixed[i]) - moving[i]).norm();
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return result.distances_mm[a] < result.distances_mm[b];
    });
    Indices next(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(kept));
    std::sort(next.begin(), next.end());
    if (next == chosen) break;
    chosen = std::move(next);
  }
  result.used.assign(fixed.size(), false);
  for (const std::size_t i : chosen) result.used[i] = true;
  return result;
}

}  // namespace triptych
