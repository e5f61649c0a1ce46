// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/image/geometry.h"
#include "framework/ops/linear_operator.h"
#include "framework/ops/scan_geometry.h"

#include <cstdint>
#include <memory>

#include <ATen/core/Tensor.h>

namespace triptych {

/// The pixels of the slices [H, W] that are projected, and where the scanner turns about them.
struct SliceGrid {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  double row_spacing_mm = 1.0;
  double column_spacing_mm = 1.0;
  double centre_row = 0.0;     ///< pixel position of the rotation axis, fractional
  double centre_column = 0.0;  ///< the same across columns

  /// The rotation axis in the middle, (rows - 1) / 2 and (columns - 1) / 2. scikit-image turns
  /// about rows / 2 and columns / 2 (integer division).
  static SliceGrid centred(std::int64_t rows, std::int64_t columns, double spacing_mm = 1.0);
};

/// The slices of a volume across its D axis (z), with the rotation axis in their middle. Throws
/// geometry_error when the spacing is unknown.
SliceGrid slice_grid_of(const Geometry& geometry);

/// Throws geometry_error when the grid has no pixels or impossible spacings, or when a fan's source
/// would turn inside the slice.
void check(const SliceGrid& grid, const ScanGeometry& scan);

/// Throws unless these are floating-point projections [..., D, A, W] that fit the scan: shape_error
/// for the axes, else as check(scan, A, W).
void check_projections(const at::Tensor& projections, const ScanGeometry& scan);

/// Line integrals of slices: y = A x, by Joseph's method.
///
/// `image` is [..., D, H, W] in 1/cm; the result [..., D, A, `detector_columns`] is dimensionless.
/// A ray is sampled where it crosses each row (or each column, where it runs more along the rows),
/// with linear interpolation between the two nearest pixels and zero outside (Joseph 1982, IEEE
/// Trans. Med. Imaging 1:192). Every slice lies in the plane of its own fan. ScanGeometry states
/// angles and directions.
///
/// float32 on the CPU runs on threads, up to 64 slices a vector loop; float64 and CUDA tensors take
/// LibTorch's operators; half types are computed in float32. Differentiable any number of times:
/// the gradient is back_project. Results do not depend on the number of threads.
at::Tensor project(const at::Tensor& image,
                   const ScanGeometry& scan,
                   std::int64_t detector_columns,
                   const SliceGrid& grid);

/// The exact adjoint of project, x = A' y, with the same weights: [..., D, A, columns] -> [..., D,
/// H, W]. No reconstruction: it has no filter and no weighting of angles. Differentiable: the
/// gradient is project.
at::Tensor back_project(const at::Tensor& projections,
                        const ScanGeometry& scan,
                        const SliceGrid& grid);

/// The operator of both, for callers that apply it many times: its rays are computed once.
std::shared_ptr<const LinearOperator> make_projector(const ScanGeometry& scan,
                                                     std::int64_t detector_columns,
                                                     const SliceGrid& grid);

}  // namespace triptych
