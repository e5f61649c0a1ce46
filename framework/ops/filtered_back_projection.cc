// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/filtered_back_projection.h"

#include "framework/core/error.h"
#include "framework/ops/packed_slices.h"
#include "framework/ops/pixel_kernel.h"
#include "framework/ops/pixel_tensors.h"
#include "framework/ops/ramp_filter.h"
#include "framework/ops/short_scan.h"
#include "framework/ops/slice_tensors.h"

#include <numbers>

#include <ATen/ATen.h>

namespace triptych {
namespace {

double circle_of(const ScanGeometry& scan) {
  return scan.beam == ScanGeometry::Beam::kParallel ? std::numbers::pi : 2.0 * std::numbers::pi;
}

/// Filter and back projection together: on packed slices nothing is unpacked between them.
class FilteredBackProjector final : public LinearOperator {
 public:
  FilteredBackProjector(const ScanGeometry& scan,
                        const SliceGrid& grid,
                        std::int64_t columns,
                        RampFilter filter)
      : scan_(scan),
        grid_(grid),
        columns_(columns),
        ray_weights_(parker_weights(scan, columns)),
        weights_(angle_weights(scan)),
        pixels_(scan, grid, columns, weights_),
        ramp_(make_ramp(scan, columns, filter)),
        packed_ramp_(make_ramp_kernel(scan, columns, filter)) {}

  at::Tensor apply(const at::Tensor& projections) const override {
    const at::Tensor slices = weighted(as_slices(projections, angles(), columns_, "projections"));
    if (!runs_on_kernels(slices)) {
      const at::Tensor filtered = ramp_->apply(slices);
      return with_leading_axes(back_project_pixels(filtered, scan_, grid_, weights_), projections);
    }
    at::Tensor result = at::empty({slices.size(0), grid_.rows, grid_.columns}, slices.options());
    for_packed(slices, result, [&](PackedSlices& from, PackedSlices& to) {
      packed_ramp_.apply(from);
      pixels_.back_project(from, to);
    });
    return with_leading_axes(result, projections);
  }

  at::Tensor apply_adjoint(const at::Tensor& image) const override {
    const at::Tensor slices = as_slices(image, grid_.rows, grid_.columns, "image");
    if (!runs_on_kernels(slices)) {
      const at::Tensor spread = project_pixels(slices, scan_, grid_, columns_, weights_);
      return with_leading_axes(weighted(ramp_->apply_adjoint(spread)), image);
    }
    at::Tensor result = at::empty({slices.size(0), angles(), columns_}, slices.options());
    for_packed(slices, result, [&](const PackedSlices& from, PackedSlices& to) {
      pixels_.project(from, to);
      packed_ramp_.apply_adjoint(to);
    });
    return with_leading_axes(weighted(result), image);
  }

 private:
  std::int64_t angles() const { return static_cast<std::int64_t>(scan_.angles_rad.size()); }
  at::Tensor weighted(const at::Tensor& projections) const {
    return ray_weights_.defined() ? projections * ray_weights_.to(projections.options())
                                  : projections;
  }

  ScanGeometry scan_;
  SliceGrid grid_;
  std::int64_t columns_;
  at::Tensor ray_weights_;  ///< undefined: a full circle
  std::vector<double> weights_;
  PixelKernel pixels_;
  std::shared_ptr<const LinearOperator> ramp_;
  RampKernel packed_ramp_;
};

}  // namespace

std::vector<double> angle_weights(const ScanGeometry& scan) {
  const CircularGaps gaps = circular_gaps(scan.angles_rad, circle_of(scan));
  const std::size_t count = scan.angles_rad.size();
  const double share = scan.beam == ScanGeometry::Beam::kParallel ? 0.5 : 0.25;
  std::vector<double> weights(count, 0.0);
  for (std::size_t i = 0; i < count; ++i) {
    const double gap =
        gaps.gap[i] > CircularGaps::kLargest * gaps.median ? gaps.median : gaps.gap[i];
    weights[gaps.order[i]] += share * gap;
    weights[gaps.order[(i + 1) % count]] += share * gap;
  }
  return weights;
}

at::Tensor filter_projections(const at::Tensor& projections,
                              const ScanGeometry& scan,
                              RampFilter filter) {
  check_projections(projections, scan);
  return differentiable_apply(make_ramp(scan, projections.size(-1), filter), projections);
}

at::Tensor fbp(const at::Tensor& projections,
               const ScanGeometry& scan,
               const SliceGrid& grid,
               RampFilter filter) {
  check(grid, scan);
  check_projections(projections, scan);
  return differentiable_apply(
      std::make_shared<FilteredBackProjector>(scan, grid, projections.size(-1), filter),
      projections);
}

}  // namespace triptych
