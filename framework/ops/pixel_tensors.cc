// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/pixel_tensors.h"

#include <cmath>

#include <ATen/ATen.h>

namespace triptych {
namespace {

/// Columns of a padded detector (0 = the zero before the first) that all pixels of a slice take.
struct Samples {
  at::Tensor column;     ///< int64 [H * W]
  at::Tensor low, high;  ///< [H * W], weights of that column and the next
};

Samples sample(const ScanGeometry& scan,
               const SliceGrid& grid,
               std::int64_t columns,
               double angle_rad,
               double weight,
               const at::TensorOptions& options) {
  const auto exact = at::TensorOptions(at::kDouble).device(options.device());
  const at::Tensor x =
      ((at::arange(grid.columns, exact) - grid.centre_column) * grid.column_spacing_mm)
          .unsqueeze(0);
  const at::Tensor y =
      ((at::arange(grid.rows, exact) - grid.centre_row) * grid.row_spacing_mm).unsqueeze(1);
  const double cosine = std::cos(angle_rad), sine = std::sin(angle_rad);
  const at::Tensor across = x * cosine - y * sine;
  at::Tensor position = across, factor = at::full_like(across, weight);
  double scale = 1.0 / scan.column_spacing_mm;
  if (scan.beam != ScanGeometry::Beam::kParallel) {
    const at::Tensor depth = x * sine + y * cosine + scan.source_to_axis_mm;
    scale *= scan.source_to_detector_mm;
    if (scan.beam == ScanGeometry::Beam::kFanFlat) {
      position = across / depth;
      factor = weight * (scan.source_to_axis_mm / depth).square();
    } else {
      position = at::atan2(across, depth);
      factor = weight / (across.square() + depth.square());
    }
  }
  const at::Tensor column = (scan.centre_column + 1.0 + scale * position)
                                .clamp(0.0, static_cast<double>(columns + 1))
                                .flatten();
  const at::Tensor whole = column.floor();
  const at::Tensor high = (column - whole) * factor.flatten();
  return {
      whole.to(at::kLong), (factor.flatten() - high).to(options.dtype()), high.to(options.dtype())};
}

}  // namespace

at::Tensor back_project_pixels(const at::Tensor& projections,
                               const ScanGeometry& scan,
                               const SliceGrid& grid,
                               const std::vector<double>& angle_weights) {
  const at::Tensor padded = at::constant_pad_nd(projections, {1, 2});
  at::Tensor image =
      at::zeros({projections.size(0), grid.rows * grid.columns}, projections.options());
  for (std::size_t a = 0; a < angle_weights.size(); ++a) {
    const Samples s = sample(scan,
                             grid,
                             projections.size(2),
                             scan.angles_rad[a],
                             angle_weights[a],
                             projections.options());
    const at::Tensor line = padded.select(1, static_cast<std::int64_t>(a));
    image.addcmul_(line.index_select(1, s.column), s.low.unsqueeze(0));
    image.addcmul_(line.index_select(1, s.column + 1), s.high.unsqueeze(0));
  }
  return image.view({projections.size(0), grid.rows, grid.columns});
}

at::Tensor project_pixels(const at::Tensor& image,
                          const ScanGeometry& scan,
                          const SliceGrid& grid,
                          std::int64_t detector_columns,
                          const std::vector<double>& angle_weights) {
  const at::Tensor pixels = image.flatten(1);
  const auto angles = static_cast<std::int64_t>(angle_weights.size());
  at::Tensor padded = at::zeros({image.size(0), angles, detector_columns + 3}, image.options());
  for (std::size_t a = 0; a < angle_weights.size(); ++a) {
    const Samples s =
        sample(scan, grid, detector_columns, scan.angles_rad[a], angle_weights[a], image.options());
    at::Tensor line = padded.select(1, static_cast<std::int64_t>(a));
    line.index_add_(1, s.column, pixels * s.low);
    line.index_add_(1, s.column + 1, pixels * s.high);
  }
  return padded.narrow(2, 1, detector_columns).contiguous();
}

}  // namespace triptych
