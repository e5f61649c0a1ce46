// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/image/landmarks.h"
#include "framework/image/point_alignment.h"
#include "framework/image/spatial_transform.h"
#include "framework/ops/jacobian.h"

#include <string>
#include <vector>

namespace triptych {

/// Points of two images that mean the same.
struct LandmarkPairs {
  std::vector<std::string> labels;  ///< of each pair; numbers from 1 where the files have none
  PointList fixed;
  PointList moving;
  std::vector<std::string> only_fixed;   ///< labels without a partner
  std::vector<std::string> only_moving;  ///< labels without a partner
};

/// Pairs by label, in the order of the fixed ones. Lists without any label are paired by their
/// order. Throws data_error for a label that occurs twice, for unlabelled lists of different
/// lengths and when nothing is left in common; it names the lists by `fixed_place` and
/// `moving_place`.
LandmarkPairs match_landmarks(const Landmarks& fixed,
                              const Landmarks& moving,
                              const std::string& fixed_place = "landmarks of the fixed image",
                              const std::string& moving_place = "landmarks of the moving image");

/// |T(fixed) - moving| of every pair, in mm (in pixels where spacings are unknown).
std::vector<double> registration_errors(const LandmarkPairs& pairs,
                                        const SpatialTransform& moving_from_fixed);

/// Target registration error (TRE) over landmarks.
struct ErrorSummary {
  double mean = 0.0;
  double median = 0.0;
  double worst_30 = 0.0;  ///< mean of the largest 30 % (at least one)
  double largest = 0.0;
};
/// Of one error or more.
ErrorSummary summarise(std::vector<double> errors);

/// How far a transform is from one that is known to be right.
struct ReferenceError {
  double mean = 0.0;  ///< of |T(x) - reference(x)| over the image, in mm (in pixels where spacings
                      ///< are unknown)
  double largest = 0.0;       ///< the same
  double centre = 0.0;        ///< in the middle of the image
  double rotation_deg = 0.0;  ///< between the rotations of two affine maps; NaN for deformations
};
/// Over a lattice of at most 32 voxel centres of `grid` along each axis.
ReferenceError reference_error(const SpatialTransform& moving_from_fixed,
                               const SpatialTransform& reference,
                               const Geometry& grid);

/// det(dT/dx) of a transform at the voxel centres of `grid`, float32 [1, D, H, W]; ops/jacobian.h
/// says how.
at::Tensor jacobian_determinant(const SpatialTransform& transform, const Geometry& grid);

}  // namespace triptych
