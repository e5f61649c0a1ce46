// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/registration/affine_similarity.h"

#include <vector>

namespace triptych {

enum class AffineModel { kTranslation, kRigid, kSimilarity, kAffine };

/// Where two images may be moved: anywhere in space, or within the plane of planar images.
struct AlignmentFrame {
  bool planar = false;
  /// Axes of the fixed and the moving image, right-handed; of planar ones the last is the normal.
  Eigen::Matrix3d fixed_axes = Eigen::Matrix3d::Identity();
  Eigen::Matrix3d moving_axes = Eigen::Matrix3d::Identity();
  /// Turns the fixed image's plane into the moving one's; the identity where they are parallel.
  Eigen::Matrix3d moving_from_fixed = Eigen::Matrix3d::Identity();
};

/// 0 of a volume, 1 of a planar image.
int axes_of_one_voxel(const Geometry& grid);

/// Planar are two images of one voxel along an axis each. Throws shape_error where one of them
/// alone is planar and for lines and points.
AlignmentFrame alignment_frame(const Geometry& fixed, const Geometry& moving);

/// The small changes of a map that a model allows, each as long as the way in mm that it moves
/// positions at `radius_mm` from the centre.
class AffineMoves {
 public:
  AffineMoves(AffineModel model,
              const AlignmentFrame& frame,
              const Eigen::Vector3d& centre_mm,
              double radius_mm);

  Eigen::Index size() const {
    return static_cast<Eigen::Index>(generators_.size() + directions_.size());
  }
  /// matrix * exp(sum of generators) about the centre, then shifted.
  AffineMap moved(const AffineMap& map, const Eigen::VectorXd& step_mm) const;
  /// d value / d step at no step.
  Eigen::VectorXd gradient(const AffineMap& map, const AffineScore& score) const;

 private:
  std::vector<Eigen::Matrix3d> generators_;  ///< in the fixed space, per mm
  std::vector<Eigen::Vector3d> directions_;  ///< in the moving space, unit
  Eigen::Vector3d centre_mm_;
};

struct AscentOptions {
  AffineModel model = AffineModel::kRigid;
  double first_step_mm = 1.0;
  double tolerance_mm = 0.01;  ///< ends when a step is shorter
  int iterations = 50;
  double largest_scale = 1.6;  ///< of lengths; its inverse is the smallest
};

struct AscentResult {
  AffineMap map;
  AffineScore score;
};

/// The nearest maximum of a similarity, by BFGS with backtracking.
AscentResult ascend(const AffineSimilarity& similarity,
                    const AlignmentFrame& frame,
                    const AffineMap& start,
                    const AscentOptions& options);

}  // namespace triptych
