// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/image/class_table.h"
#include "framework/learn/label_metrics.h"
#include "framework/learn/task.h"

#include <array>
#include <vector>

#include <ATen/core/Tensor.h>

namespace triptych {

/// What is known of a pair that was aligned; undefined = not known.
struct PairTruth {
  at::Tensor displacement;  ///< [1, 3, D, H, W] in mm (LPS), on the predicted field's grid
  at::Tensor fixed_label;   ///< int64 [1, 1, D, H, W] on that grid; negative = not labelled
  at::Tensor moving_label;  ///< int64 [1, 1, D', H', W']
  Geometry moving_label_grid;
  at::Tensor fixed_points, moving_points;  ///< [P, 3] float64 in mm (LPS), one another's images
};

/// Values at world positions in mm (LPS): image [1, C, D, H, W] on `grid`, points [P, 3] -> [P, C],
/// linear between voxel centres, beyond them as at the edge. Differentiable in the image.
at::Tensor values_at(const at::Tensor& image, const Geometry& grid, const at::Tensor& points);
/// Which points lie on the grid or within half a voxel of it: bool [P].
at::Tensor points_within(const Geometry& grid, const at::Tensor& points);

/// How well displacements align pairs, and what doing nothing gives.
///
/// Endpoint error: mean length over voxels of the difference to the true displacement. TRE:
/// distance of the mapped fixed to the moving landmarks that lie on the fixed grid, mean over
/// landmarks, and the mean over pairs of the worst 30 %. Dice: of labels carried over by the
/// nearest voxel, counted over all pairs; HD95: mean over pairs and classes. Folds: share of the
/// voxels with det J <= 0; SDlogJ: mean over pairs of the standard deviation of ln det J.
class RegistrationErrors {
 public:
  explicit RegistrationErrors(const ClassTable& classes);

  /// displacement [1, 3, D, H, W] in mm (LPS), moving_from_fixed, on `grid`. HD95, which takes its
  /// time, only with `surfaces`.
  void add(const at::Tensor& displacement_mm,
           const Geometry& grid,
           const PairTruth& truth,
           bool surfaces);

  std::vector<double> state() const;
  void merge(const std::vector<double>& state);
  /// Only what something is known of; those of no displacement as `trivial/...`.
  std::vector<MetricValue> values() const;

 private:
  struct Sums {
    double endpoint_mm = 0.0, voxels = 0.0;
    double landmark_mm = 0.0, landmarks = 0.0;
    double worst_mm = 0.0, landmark_pairs = 0.0;
    double hd95_mm = 0.0, hd95_count = 0.0;
  };
  struct Method {
    Sums sums;
    ConfusionMatrix overlap;
  };
  void add_method(Method& method,
                  const at::Tensor& displacement_mm,
                  const Geometry& grid,
                  const PairTruth& truth,
                  bool surfaces) const;
  static void add_landmarks(Sums& sums,
                            const at::Tensor& displacement_mm,
                            const Geometry& grid,
                            const PairTruth& truth);
  void add_surfaces(Sums& sums,
                    const at::Tensor& carried,
                    const at::Tensor& fixed_label,
                    const Geometry& grid) const;
  void add_values(const std::string& prefix,
                  const Method& method,
                  std::vector<MetricValue>& values) const;

  ClassTable classes_;
  std::array<Method, 2> methods_;  ///< the prediction, no displacement
  double folded_ = 0.0, jacobian_voxels_ = 0.0;
  double log_deviation_ = 0.0, log_deviations_ = 0.0;
};

}  // namespace triptych
