// SPDX-License-Identifier: Apache-2.0
#include "framework/registration/start_candidates.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include <ATen/ATen.h>
#include <Eigen/Eigenvalues>
#include <Eigen/Geometry>

namespace triptych {
namespace {

constexpr std::int64_t kRotations = 1000, kPlaneRotations = 48;
constexpr std::int64_t kFineRotations = 8000;  ///< about 10 degrees apart
constexpr double kShift = 0.25;                ///< of the extent of the smaller image

double rotation_angle(const Eigen::Matrix3d& rotation) {
  return std::acos(std::clamp(0.5 * (rotation.trace() - 1.0), -1.0, 1.0));
}

Eigen::Vector3d extent_mm(const Geometry& grid) {
  const Eigen::Vector3d voxels(static_cast<double>(grid.shape[2]),
                               static_cast<double>(grid.shape[1]),
                               static_cast<double>(grid.shape[0]));
  return voxels.cwiseProduct(grid.spacing);
}

Eigen::Vector3d field_centre_mm(const Geometry& grid) {
  const Eigen::Vector3d last(static_cast<double>(grid.shape[2] - 1),
                             static_cast<double>(grid.shape[1] - 1),
                             static_cast<double>(grid.shape[0] - 1));
  return grid.world_from_index(0.5 * last);
}

bool on_border(const Index3& voxel, const Index3& shape) {
  for (std::size_t axis = 0; axis < 3; ++axis) {
    if (shape[axis] > 1 && (voxel[axis] == 0 || voxel[axis] == shape[axis] - 1)) return true;
  }
  return false;
}

/// Calls visit(voxel [D, H, W], value, counted) for all voxels.
template <typename Visit>
void for_each_voxel(const RegistrationImage& image, const Visit& visit) {
  const at::Tensor values = image.values.contiguous();
  const at::Tensor mask = image.mask.defined() ? image.mask.contiguous() : image.mask;
  const float* v = values.data_ptr<float>();
  const float* m = mask.defined() ? mask.data_ptr<float>() : nullptr;
  const Index3& shape = image.geometry.shape;
  std::int64_t i = 0;
  for (std::int64_t z = 0; z < shape[0]; ++z) {
    for (std::int64_t y = 0; y < shape[1]; ++y) {
      for (std::int64_t x = 0; x < shape[2]; ++x, ++i) visit({z, y, x}, v[i], !m || m[i] > 0.5F);
    }
  }
}

float background_value(const RegistrationImage& image) {
  std::vector<float> border;
  for_each_voxel(image, [&](const Index3& voxel, float value, bool) {
    if (on_border(voxel, image.geometry.shape)) border.push_back(value);
  });
  const auto middle = border.begin() + static_cast<std::ptrdiff_t>(border.size() / 2);
  std::nth_element(border.begin(), middle, border.end());
  return *middle;
}

/// The four rotations that put principal axes onto principal axes, whose directions are unknown.
std::vector<Eigen::Matrix3d> axis_rotations(const Eigen::Matrix3d& fixed,
                                            const Eigen::Matrix3d& moving) {
  std::vector<Eigen::Matrix3d> rotations;
  for (const Eigen::Vector3d& signs : {Eigen::Vector3d(1, 1, 1),
                                       Eigen::Vector3d(1, -1, -1),
                                       Eigen::Vector3d(-1, 1, -1),
                                       Eigen::Vector3d(-1, -1, 1)})
    rotations.push_back(moving * signs.asDiagonal() * fixed.transpose());
  return rotations;
}

std::vector<Eigen::Matrix3d> plane_rotations(const Eigen::Vector3d& normal, double largest_rad) {
  std::vector<Eigen::Matrix3d> rotations;
  for (std::int64_t i = 0; i < kPlaneRotations; ++i) {
    const std::int64_t signed_step = i % 2 ? (i + 1) / 2 : -(i / 2);
    const double angle =
        2.0 * std::numbers::pi * static_cast<double>(signed_step) / kPlaneRotations;
    if (std::abs(angle) <= largest_rad + 1e-9)
      rotations.push_back(Eigen::AngleAxisd(angle, normal).toRotationMatrix());
  }
  return rotations;
}

/// Shifts about an anchor: none, and along the axes of the moving image either way; in the plane
/// the diagonals too.
std::vector<Eigen::Vector3d> shifts(const Geometry& fixed,
                                    const Geometry& moving,
                                    const AlignmentFrame& frame) {
  std::vector<Eigen::Vector3d> result{Eigen::Vector3d::Zero()};
  const double step = kShift * std::min(extent_mm(fixed).maxCoeff(), extent_mm(moving).maxCoeff());
  const int axes = frame.planar ? 2 : 3;
  for (int axis = 0; axis < axes; ++axis) {
    result.push_back(step * frame.moving_axes.col(axis));
    result.push_back(-step * frame.moving_axes.col(axis));
  }
  if (frame.planar) {
    for (const double a : {-step, step}) {
      for (const double b : {-step, step})
        result.push_back(a * frame.moving_axes.col(0) + b * frame.moving_axes.col(1));
    }
  }
  return result;
}

struct Anchor {
  Eigen::Vector3d fixed_mm, moving_mm;
};

/// Where the files' coordinates put a position of the fixed image: of planar ones its foot on the
/// moving plane.
Eigen::Vector3d by_header(const Eigen::Vector3d& fixed_mm,
                          const Geometry& moving,
                          const AlignmentFrame& frame) {
  if (!frame.planar) return fixed_mm;
  const Eigen::Vector3d normal = frame.moving_axes.col(2);
  return fixed_mm + normal * normal.dot(moving.origin - fixed_mm);
}

}  // namespace

ImageMoments image_moments(const RegistrationImage& image) {
  const float background = background_value(image);
  double mass = 0.0;
  Eigen::Vector3d first = Eigen::Vector3d::Zero();
  Eigen::Matrix3d second = Eigen::Matrix3d::Zero();
  for_each_voxel(image, [&](const Index3& voxel, float value, bool counted) {
    if (!counted) return;
    const double weight = std::abs(value - background);
    const Eigen::Vector3d index(static_cast<double>(voxel[2]),
                                static_cast<double>(voxel[1]),
                                static_cast<double>(voxel[0]));
    mass += weight;
    first += weight * index;
    second += weight * index * index.transpose();
  });
  if (!(mass > 0.0)) return {field_centre_mm(image.geometry), image.geometry.direction};
  const Eigen::Vector3d mean = first / mass;
  const Eigen::Matrix3d step = image.geometry.step_mm();
  const Eigen::Matrix3d covariance =
      step * (second / mass - mean * mean.transpose()) * step.transpose();
  const Eigen::SelfAdjointEigenSolver<Eigen::Matrix3d> solver(covariance);
  Eigen::Matrix3d axes = solver.eigenvectors().rowwise().reverse();
  if (axes.determinant() < 0.0) axes.col(2) = -axes.col(2);
  return {image.geometry.world_from_index(mean), axes};
}

std::vector<Eigen::Matrix3d> rotation_grid(std::int64_t count, double largest_rad) {
  std::vector<Eigen::Matrix3d> rotations{Eigen::Matrix3d::Identity()};
  const auto add = [&](const Eigen::Matrix3d& rotation) {
    if (rotation_angle(rotation) <= largest_rad + 1e-9) rotations.push_back(rotation);
  };
  for (int x = 0; x < 3; ++x) {
    for (int y = 0; y < 3; ++y) {
      for (int signs = 0; signs < 4 && x != y; ++signs) {
        Eigen::Matrix3d rotation = Eigen::Matrix3d::Zero();
        rotation(x, 0) = signs & 1 ? -1.0 : 1.0;
        rotation(y, 1) = signs & 2 ? -1.0 : 1.0;
        rotation.col(2) = rotation.col(0).cross(rotation.col(1));
        if (!rotation.isIdentity()) add(rotation);
      }
    }
  }
  const double psi = 1.533751168755204288118041;
  for (std::int64_t i = 0; i < count; ++i) {
    const double s = static_cast<double>(i) + 0.5, t = s / static_cast<double>(count);
    const double angle = 2.0 * std::numbers::pi * s;
    const double a = angle / std::numbers::sqrt2, b = angle / psi;
    const double r = std::sqrt(t), q = std::sqrt(1.0 - t);
    add(Eigen::Quaterniond(r * std::sin(a), r * std::cos(a), q * std::sin(b), q * std::cos(b))
            .toRotationMatrix());
  }
  return rotations;
}

std::vector<AffineMap> start_candidates(const RegistrationImage& fixed,
                                        const RegistrationImage& moving,
                                        const AlignmentFrame& frame,
                                        double largest_rotation_rad) {
  const ImageMoments fixed_moments = image_moments(fixed), moving_moments = image_moments(moving);
  const Eigen::Vector3d centre = field_centre_mm(fixed.geometry);
  const std::vector<Anchor> anchors{{centre, by_header(centre, moving.geometry, frame)},
                                    {centre, field_centre_mm(moving.geometry)},
                                    {fixed_moments.centre_mm, moving_moments.centre_mm}};
  const std::vector<Eigen::Matrix3d> rotations =
      frame.planar ? plane_rotations(frame.fixed_axes.col(2), largest_rotation_rad)
                   : rotation_grid(kRotations, largest_rotation_rad);
  std::vector<AffineMap> candidates;
  const auto add =
      [&](const Eigen::Matrix3d& matrix, const Anchor& anchor, const Eigen::Vector3d& shift) {
        candidates.push_back({matrix, anchor.moving_mm + shift - matrix * anchor.fixed_mm});
      };
  const std::vector<Eigen::Vector3d> all_shifts = shifts(fixed.geometry, moving.geometry, frame);
  for (const Eigen::Matrix3d& rotation : rotations) {
    for (const Anchor& anchor : anchors) {
      for (const Eigen::Vector3d& shift : all_shifts)
        add(frame.moving_from_fixed * rotation, anchor, shift);
    }
  }
  if (!frame.planar) {
    for (const Eigen::Matrix3d& rotation :
         axis_rotations(fixed_moments.axes, moving_moments.axes)) {
      if (rotation_angle(rotation) <= largest_rotation_rad)
        add(rotation, anchors.back(), Eigen::Vector3d::Zero());
    }
  }
  return candidates;
}

std::vector<AffineMap> candidates_near(const AffineMap& guess,
                                       const Geometry& fixed,
                                       const AlignmentFrame& frame,
                                       double largest_rad) {
  const std::vector<Eigen::Matrix3d> turns =
      frame.planar ? plane_rotations(frame.fixed_axes.col(2), largest_rad)
                   : rotation_grid(kFineRotations, largest_rad);
  std::vector<AffineMap> candidates;
  for (const Eigen::Matrix3d& turn : turns) {
    candidates.push_back(
        compose(guess, AffineMap::about(field_centre_mm(fixed), turn, Eigen::Vector3d::Zero())));
  }
  return candidates;
}

}  // namespace triptych
