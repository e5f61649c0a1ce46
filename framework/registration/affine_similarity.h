// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/image/spatial_transform.h"
#include "framework/registration/joint_histogram_kernel.h"
#include "framework/registration/registration_image.h"

#include <cstdint>

#include <Eigen/Core>

namespace triptych {

/// How well two images fit under an affine map, and how that changes with the map.
struct AffineScore {
  double value = 0.0;       ///< what a search maximises: similarity times a factor for the overlap
  double similarity = 0.0;  ///< normalised mutual information - 1, in [0, 1]
  double overlap = 0.0;     ///< share of the smaller image that lies within the other, in [0, 1]
  Eigen::Matrix3d by_matrix = Eigen::Matrix3d::Zero();  ///< d value / d matrix about the centre
  Eigen::Vector3d by_offset = Eigen::Vector3d::Zero();  ///< d value / d (map of the centre), 1/mm
};

struct AffineSimilarityOptions {
  std::int64_t bins = 32;         ///< of the grey values of each image, in [4, 64]
  std::int64_t samples = 20000;   ///< at most so many positions of the fixed image are compared
  double overlap_exponent = 0.5;  ///< of the overlap in the score
  double least_overlap = 0.25;    ///< with less the value is 0
};

/// Normalised mutual information (H(F) + H(M)) / H(F, M) of two images (Studholme et al., An
/// overlap invariant entropy measure, 1999) as a function of an affine map `moving_from_fixed`.
///
/// Positions are drawn once, one in each of evenly spread voxels of the fixed mask, anywhere within
/// the voxel: grids that coincide would favour certain maps (Pluim et al., Interpolation artefacts
/// in mutual information-based image registration, 2000). Grey values between the percentiles 0.2
/// and 99.8 fall into bins: the fixed image's into one, the moving image's, interpolated linearly,
/// into three by quadratic B-splines, so that the derivative is that of the value. Beyond the
/// moving image and its mask nothing counts; weights fall to 0 over one voxel. Small overlaps look
/// alike more easily, so that the similarity counts times overlap^exponent, where the common volume
/// is the geometric mean of that in the fixed and in the moving space: shrinking one image into the
/// other does not pay.
///
/// Of planar images (one voxel along an axis) positions off the plane count as on it. The same bits
/// for every number of threads.
class AffineSimilarity {
 public:
  AffineSimilarity(const RegistrationImage& fixed,
                   const RegistrationImage& moving,
                   const AffineSimilarityOptions& options = {});

  /// The fixed positions' mean; derivatives are about it.
  const Eigen::Vector3d& centre_mm() const { return centre_mm_; }
  /// Root mean square distance of the fixed positions to their mean.
  double radius_mm() const { return radius_mm_; }

  AffineScore value(const AffineMap& moving_from_fixed) const {
    return evaluate(moving_from_fixed, false);
  }
  AffineScore value_and_gradient(const AffineMap& moving_from_fixed) const {
    return evaluate(moving_from_fixed, true);
  }

 private:
  struct Entropies;

  void draw_positions(const RegistrationImage& fixed);
  void take_moving(const RegistrationImage& moving);
  MovingVoxels moving_voxels(const AffineMap& map) const;
  Entropies entropies(const std::vector<double>& histogram, double total) const;
  AffineScore evaluate(const AffineMap& map, bool with_gradient) const;
  void add_gradient(const AffineMap& map,
                    const Entropies& found,
                    double total,
                    AffineScore& score) const;

  AffineSimilarityOptions options_;
  Eigen::Vector3d centre_mm_ = Eigen::Vector3d::Zero();
  double radius_mm_ = 0.0;
  FixedPositions positions_;   ///< about the centre, in mm
  double fixed_volume_ = 0.0;  ///< what the positions stand for, in mm^3
  double moving_volume_ = 0.0;
  at::Tensor moving_, moving_mask_;  ///< [D, H, W]; grey values in bins
  Geometry moving_geometry_;
  Eigen::Matrix3d index_from_world_;
};

}  // namespace triptych
