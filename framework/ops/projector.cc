// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/projector.h"

#include "framework/core/error.h"
#include "framework/ops/joseph_kernel.h"
#include "framework/ops/joseph_tensors.h"
#include "framework/ops/packed_slices.h"
#include "framework/ops/slice_tensors.h"

#include <algorithm>
#include <cmath>
#include <mutex>
#include <optional>

#include <ATen/ATen.h>

namespace triptych {
namespace {

class Projector final : public LinearOperator {
 public:
  Projector(const ScanGeometry& scan, std::int64_t columns, const SliceGrid& grid)
      : scan_(scan), grid_(grid), columns_(columns) {}

  at::Tensor apply(const at::Tensor& image) const override {
    const at::Tensor slices = as_slices(image, grid_.rows, grid_.columns, "image to project");
    const at::Tensor projections =
        runs_on_kernels(slices) ? project(slices) : project_tensors(slices, scan_, grid_, columns_);
    return with_leading_axes(projections, image);
  }

  at::Tensor apply_adjoint(const at::Tensor& projections) const override {
    const at::Tensor slices = as_slices(projections, angles(), columns_, "projections");
    const at::Tensor image =
        runs_on_kernels(slices) ? back_project(slices) : back_project_tensors(slices, scan_, grid_);
    return with_leading_axes(image, projections);
  }

 private:
  std::int64_t angles() const { return static_cast<std::int64_t>(scan_.angles_rad.size()); }

  const JosephKernel& kernel() const {
    std::call_once(made_, [&] { kernel_.emplace(scan_, grid_, columns_); });
    return *kernel_;
  }

  at::Tensor project(const at::Tensor& slices) const {
    at::Tensor result = at::empty({slices.size(0), angles(), columns_}, slices.options());
    for_packed(slices, result, [&](const PackedSlices& image, PackedSlices& projections) {
      kernel().project(image, projections);
    });
    return result;
  }

  at::Tensor back_project(const at::Tensor& slices) const {
    at::Tensor result = at::empty({slices.size(0), grid_.rows, grid_.columns}, slices.options());
    for_packed(slices, result, [&](const PackedSlices& projections, PackedSlices& image) {
      kernel().back_project(projections, image);
    });
    return result;
  }

  ScanGeometry scan_;
  SliceGrid grid_;
  std::int64_t columns_;
  mutable std::once_flag made_;
  mutable std::optional<JosephKernel> kernel_;  ///< rays take a while, and other devices need none
};

}  // namespace

SliceGrid SliceGrid::centred(std::int64_t rows, std::int64_t columns, double spacing_mm) {
  return {rows,
          columns,
          spacing_mm,
          spacing_mm,
          0.5 * static_cast<double>(rows - 1),
          0.5 * static_cast<double>(columns - 1)};
}

SliceGrid slice_grid_of(const Geometry& geometry) {
  if (!geometry.spacing_known) {
    throw geometry_error("slices to reconstruct: the spacing is unknown, expected millimetres",
                         "give the spacing of the volume");
  }
  SliceGrid grid = SliceGrid::centred(geometry.shape[1], geometry.shape[2]);
  grid.row_spacing_mm = geometry.spacing.y();
  grid.column_spacing_mm = geometry.spacing.x();
  return grid;
}

void check(const SliceGrid& grid, const ScanGeometry& scan) {
  if (grid.rows < 1 || grid.columns < 1) {
    throw geometry_error(fmt::format(
        "slices: expected at least one row and column, got {} and {}", grid.rows, grid.columns));
  }
  for (const double spacing : {grid.row_spacing_mm, grid.column_spacing_mm}) {
    if (!std::isfinite(spacing) || spacing <= 0.0)
      throw geometry_error(fmt::format("slices: expected a positive spacing, got {} mm", spacing));
  }
  if (!std::isfinite(grid.centre_row) || !std::isfinite(grid.centre_column))
    throw geometry_error("slices: the position of the rotation axis is not a number");
  if (scan.beam == ScanGeometry::Beam::kParallel) return;
  const auto farthest = [](double centre, std::int64_t size) {
    return std::max(std::abs(centre + 1.0), std::abs(static_cast<double>(size) - centre));
  };
  const double radius_mm =
      std::hypot(farthest(grid.centre_row, grid.rows) * grid.row_spacing_mm,
                 farthest(grid.centre_column, grid.columns) * grid.column_spacing_mm);
  if (radius_mm >= scan.source_to_axis_mm) {
    throw geometry_error(
        fmt::format("slices: the source must turn outside them, expected source_to_axis_mm over "
                    "{:.1f}, got {}",
                    radius_mm,
                    scan.source_to_axis_mm));
  }
}

void check_projections(const at::Tensor& projections, const ScanGeometry& scan) {
  if (projections.dim() < 3) {
    throw shape_error(
        fmt::format("projections: expected shape [..., D, A, W], got {} axes", projections.dim()));
  }
  check(scan, projections.size(-2), projections.size(-1));
}

std::shared_ptr<const LinearOperator> make_projector(const ScanGeometry& scan,
                                                     std::int64_t detector_columns,
                                                     const SliceGrid& grid) {
  check(scan, static_cast<std::int64_t>(scan.angles_rad.size()), detector_columns);
  check(grid, scan);
  return std::make_shared<Projector>(scan, detector_columns, grid);
}

at::Tensor project(const at::Tensor& image,
                   const ScanGeometry& scan,
                   std::int64_t detector_columns,
                   const SliceGrid& grid) {
  return differentiable_apply(make_projector(scan, detector_columns, grid), image);
}

at::Tensor back_project(const at::Tensor& projections,
                        const ScanGeometry& scan,
                        const SliceGrid& grid) {
  check_projections(projections, scan);
  return differentiable_adjoint(make_projector(scan, projections.size(-1), grid), projections);
}

}  // namespace triptych
