// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/image/class_table.h"
#include "framework/image/geometry.h"

#include <span>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

namespace triptych {

/// Counts of (reference, prediction) pairs of classes, and the overlap metrics that follow from
/// them.
///
/// Undefined values (a class that neither side has) are NaN and left out of means. Means are over
/// the foreground classes, that is without class 0. Reference voxels of a negative label are
/// ignored.
class ConfusionMatrix {
 public:
  explicit ConfusionMatrix(std::int64_t classes);

  /// Two integer tensors of one shape; predictions must lie in [0, classes), else data_error.
  void add(const at::Tensor& predicted, const at::Tensor& reference);

  std::int64_t classes() const { return classes_; }
  std::int64_t count(std::int64_t reference, std::int64_t predicted) const;
  std::int64_t total() const;

  /// The counts [K * K], row by row of the reference, and their addition.
  const std::vector<std::int64_t>& counts() const { return counts_; }
  void add_counts(std::span<const double> counts);

  double iou(std::int64_t label) const;
  double dice(std::int64_t label) const;
  double precision(std::int64_t label) const;
  double recall(std::int64_t label) const;
  /// Mean over classes 1.. of one of the above; NaN when none is defined.
  double foreground_mean(double (ConfusionMatrix::*metric)(std::int64_t) const) const;
  /// Share of the voxels that are right.
  double accuracy() const;
  /// Row-normalised counts [K][K]: row = reference.
  std::vector<std::vector<double>> row_normalised() const;
  /// J2 of predictors that look at nothing: equal probabilities, and always the most frequent
  /// class.
  double uniform_j2() const;
  double majority_j2() const;

 private:
  void count_pairs(const at::Tensor& predicted, const at::Tensor& reference);
  std::int64_t row(std::int64_t label) const;
  std::int64_t column(std::int64_t label) const;

  std::int64_t classes_;
  std::vector<std::int64_t> counts_;
};

/// Distances between the surfaces of two masks, in mm (in voxels where the spacing is unknown).
///
/// The surface of a mask is its voxels with a face neighbour outside (the image border counts as
/// outside, except along axes of one voxel). hd95 is the larger of the two directed 95th
/// percentiles, average the mean of both directions' distances pooled (ASSD). Both are NaN when one
/// mask is empty and 0 when both are.
struct SurfaceDistance {
  double hd95 = 0.0;
  double average = 0.0;
};
/// bool masks [D, H, W].
SurfaceDistance surface_distance(const at::Tensor& a,
                                 const at::Tensor& b,
                                 const Geometry& geometry);

}  // namespace triptych
