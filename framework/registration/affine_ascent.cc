// SPDX-License-Identifier: Apache-2.0
#include "framework/registration/affine_ascent.h"

#include "framework/core/error.h"

#include <algorithm>
#include <cmath>

#include <Eigen/Geometry>
#include <Eigen/SVD>

namespace triptych {
namespace {

constexpr double kSufficientIncrease = 1e-4;
constexpr int kHalvings = 6;
constexpr double kLongestStep = 4.0;  ///< in first steps

/// The axes of a planar grid: the two in its plane, then the normal, right-handed.
Eigen::Matrix3d plane_axes(const Geometry& grid) {
  int normal = 0;
  while (grid.shape[static_cast<std::size_t>(2 - normal)] != 1) ++normal;
  Eigen::Matrix3d axes;
  axes.col(0) = grid.direction.col(normal == 0 ? 1 : 0);
  axes.col(1) = grid.direction.col(normal == 2 ? 1 : 2);
  axes.col(2) = axes.col(0).cross(axes.col(1));
  return axes;
}

Eigen::Matrix3d matrix_exponential(const Eigen::Matrix3d& x) {
  const int halvings = std::max(0, static_cast<int>(std::ceil(std::log2(x.norm() + 1e-300))) + 2);
  const Eigen::Matrix3d small = x / std::ldexp(1.0, halvings);
  Eigen::Matrix3d sum = Eigen::Matrix3d::Identity(), term = sum;
  for (int k = 1; k <= 12; ++k) {
    term = term * small / k;
    sum += term;
  }
  for (int k = 0; k < halvings; ++k) sum = sum * sum;
  return sum;
}

bool plausible(const AffineMap& map, double largest_scale) {
  const Eigen::Vector3d scales = Eigen::JacobiSVD<Eigen::Matrix3d>(map.matrix).singularValues();
  return scales.maxCoeff() <= largest_scale && scales.minCoeff() >= 1.0 / largest_scale;
}

/// Approximate inverse of the negative Hessian (Broyden, Fletcher, Goldfarb and Shanno 1970).
void update(Eigen::MatrixXd& inverse, const Eigen::VectorXd& step, const Eigen::VectorXd& change) {
  const double curvature = step.dot(change);
  if (!(curvature > 1e-12 * step.norm() * change.norm())) return;
  const Eigen::VectorXd along = inverse * change;
  inverse += (1.0 + change.dot(along) / curvature) / curvature * step * step.transpose() -
             (along * step.transpose() + step * along.transpose()) / curvature;
}

}  // namespace

int axes_of_one_voxel(const Geometry& grid) {
  return static_cast<int>(std::count(grid.shape.begin(), grid.shape.end(), 1));
}

AlignmentFrame alignment_frame(const Geometry& fixed, const Geometry& moving) {
  const int fixed_thin = axes_of_one_voxel(fixed), moving_thin = axes_of_one_voxel(moving);
  if (fixed_thin > 1 || moving_thin > 1 || fixed_thin != moving_thin) {
    throw shape_error("expected two volumes or two images of one slice, got a fixed image of " +
                          fixed.text() + " and a moving one of " + moving.text(),
                      "a section is placed in a volume by another method");
  }
  AlignmentFrame frame;
  frame.planar = fixed_thin == 1;
  if (!frame.planar) return frame;
  frame.fixed_axes = plane_axes(fixed);
  frame.moving_axes = plane_axes(moving);
  const Eigen::Vector3d normal = frame.fixed_axes.col(2);
  Eigen::Vector3d moving_normal = frame.moving_axes.col(2);
  if (moving_normal.dot(normal) < 0.0) moving_normal = -moving_normal;
  if (moving_normal.dot(normal) < 1.0 - 1e-9)
    frame.moving_from_fixed =
        Eigen::Quaterniond::FromTwoVectors(normal, moving_normal).toRotationMatrix();
  return frame;
}

AffineMoves::AffineMoves(AffineModel model,
                         const AlignmentFrame& frame,
                         const Eigen::Vector3d& centre_mm,
                         double radius_mm)
    : centre_mm_(centre_mm) {
  const int axes = frame.planar ? 2 : 3;
  for (int axis = 0; axis < axes; ++axis) directions_.push_back(frame.moving_axes.col(axis));
  const auto add = [&](const Eigen::Matrix3d& within_frame) {
    generators_.push_back(frame.fixed_axes * within_frame * frame.fixed_axes.transpose() /
                          radius_mm);
  };
  const auto unit = [](int row, int column) {
    Eigen::Matrix3d matrix = Eigen::Matrix3d::Zero();
    matrix(row, column) = 1.0;
    return matrix;
  };
  for (int a = 0; a < axes; ++a) {
    for (int b = 0; b < a; ++b) {
      if (model != AffineModel::kTranslation) add(unit(a, b) - unit(b, a));
      if (model == AffineModel::kAffine) add(unit(a, b) + unit(b, a));
    }
    if (model == AffineModel::kAffine) add(unit(a, a));
  }
  if (model == AffineModel::kSimilarity) {
    Eigen::Matrix3d scale = Eigen::Matrix3d::Zero();
    for (int a = 0; a < axes; ++a) scale(a, a) = 1.0;
    add(scale);
  }
}

AffineMap AffineMoves::moved(const AffineMap& map, const Eigen::VectorXd& step_mm) const {
  Eigen::Matrix3d sum = Eigen::Matrix3d::Zero();
  Eigen::Vector3d centre = map.map(centre_mm_);
  Eigen::Index i = 0;
  for (const Eigen::Matrix3d& generator : generators_) sum += step_mm[i++] * generator;
  for (const Eigen::Vector3d& direction : directions_) centre += step_mm[i++] * direction;
  const Eigen::Matrix3d matrix = map.matrix * matrix_exponential(sum);
  return {matrix, centre - matrix * centre_mm_};
}

Eigen::VectorXd AffineMoves::gradient(const AffineMap& map, const AffineScore& score) const {
  Eigen::VectorXd result(size());
  const Eigen::Matrix3d by_right = map.matrix.transpose() * score.by_matrix;
  Eigen::Index i = 0;
  for (const Eigen::Matrix3d& generator : generators_)
    result[i++] = by_right.cwiseProduct(generator).sum();
  for (const Eigen::Vector3d& direction : directions_) result[i++] = score.by_offset.dot(direction);
  return result;
}

AscentResult ascend(const AffineSimilarity& similarity,
                    const AlignmentFrame& frame,
                    const AffineMap& start,
                    const AscentOptions& options) {
  const AffineMoves moves(options.model, frame, similarity.centre_mm(), similarity.radius_mm());
  AscentResult best{start, similarity.value_and_gradient(start)};
  Eigen::VectorXd gradient = moves.gradient(start, best.score);
  if (!(best.score.value > 0.0) || !(gradient.norm() > 0.0)) return best;
  Eigen::MatrixXd inverse = Eigen::MatrixXd::Identity(moves.size(), moves.size()) *
                            (options.first_step_mm / gradient.norm());
  for (int iteration = 0; iteration < options.iterations; ++iteration) {
    Eigen::VectorXd step = inverse * gradient;
    if (!(step.dot(gradient) > 0.0)) break;
    step *= std::min(1.0, kLongestStep * options.first_step_mm / step.norm());
    bool higher = false;
    for (int halving = 0; halving <= kHalvings && !higher; ++halving) {
      const AffineMap map = moves.moved(best.map, step);
      const AffineScore score = plausible(map, options.largest_scale)
                                    ? similarity.value_and_gradient(map)
                                    : AffineScore{};
      higher = score.value > best.score.value + kSufficientIncrease * step.dot(gradient);
      if (higher) {
        const Eigen::VectorXd next = moves.gradient(map, score);
        update(inverse, step, gradient - next);
        gradient = next;
        best = {map, score};
      } else {
        step *= 0.5;
      }
    }
    if (!higher || step.norm() < options.tolerance_mm) break;
  }
  return best;
}

}  // namespace triptych
