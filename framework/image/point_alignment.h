// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/image/spatial_transform.h"

#include <vector>

namespace triptych {

using PointList = std::vector<Eigen::Vector3d>;  ///< world positions in mm (LPS)

enum class PointTransform {
  kRigid,       ///< rotation and translation; from 3 points on
  kSimilarity,  ///< and one scale; from 3 points on
  kAffine,      ///< from 4 points on
};

struct AlignmentOptions {
  PointTransform transform = PointTransform::kRigid;
  /// Share of the pairs with the largest distances that is left out, in [0, 0.5]: the fit is
  /// repeated on the rest until the rest stays the same (trimmed least squares).
  double trimmed_share = 0.0;
};

struct PointAlignment {
  AffineMap moving_from_fixed;
  std::vector<double> distances_mm;  ///< |T(fixed) - moving| of every pair, trimmed ones too
  std::vector<bool> used;            ///< false for trimmed pairs
};

/// The transform of least mean squared distance between pairs of points, in closed form: rotation
/// by Kabsch 1976, scale by Umeyama 1991 (no reflections), affine by linear least squares.
///
/// Points in a plane have a rigid or similarity transform but no affine one; on a line they have
/// neither. Throws data_error for lists of different lengths, for too few points and for points
/// that do not determine the transform.
PointAlignment align_points(const PointList& fixed,
                            const PointList& moving,
                            const AlignmentOptions& options = {});

}  // namespace triptych
