// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/metal_artifact.h"

#include "framework/core/error.h"
#include "framework/image/smooth.h"
#include "framework/ops/filtered_back_projection.h"

#include <algorithm>
#include <string>
#include <tuple>

#include <ATen/ATen.h>

namespace triptych {
namespace {

constexpr double kRaisedBy = 0.02;     ///< of line integrals before they are normalised
constexpr double kLeastWeight = 1e-3;  ///< of a pixel that a ray meets, in sides of a pixel

std::string text_of(at::IntArrayRef sizes) {
  std::string text;
  for (const std::int64_t size : sizes) text += (text.empty() ? "" : ", ") + std::to_string(size);
  return "[" + text + "]";
}

void check_values(const at::Tensor& values, const char* name, const char* axes) {
  if (values.dim() >= 3 && values.is_floating_point()) return;
  throw shape_error(
      fmt::format("{}: expected floating-point values of shape [..., D, {}], got {} of {}",
                  name,
                  axes,
                  c10::toString(values.scalar_type()),
                  text_of(values.sizes())));
}

void check_trace(const at::Tensor& projections, const at::Tensor& trace) {
  check_values(projections, "projections", "A, W");
  if (trace.sizes() == projections.sizes() && trace.scalar_type() == at::kBool) return;
  throw shape_error(
      fmt::format("metal trace: expected Bool of the projections' shape {}, got {} "
                  "of {}",
                  text_of(projections.sizes()),
                  c10::toString(trace.scalar_type()),
                  text_of(trace.sizes())));
}

/// The P pixels of the trace that can be filled, and their nearest neighbours outside it; [P]
/// each. Positions are those in the flattened projections. At the border both neighbours are one.
struct TraceGaps {
  at::Tensor pixel;
  at::Tensor before;
  at::Tensor after;
  at::Tensor share_after;  ///< 0 at `before`, 1 at `after`
};

TraceGaps gaps_of(const at::Tensor& trace, at::ScalarType type) {
  const std::int64_t columns = trace.size(-1);
  const at::Tensor column =
      at::arange(columns, trace.options().dtype(at::kInt)).expand(trace.sizes());
  const at::Tensor last_outside = std::get<0>(column.masked_fill(trace, -1).cummax(-1));
  const at::Tensor next_outside =
      std::get<0>(column.masked_fill(trace, columns).flip(-1).cummin(-1)).flip(-1);
  const at::Tensor fillable = trace & ((last_outside >= 0) | (next_outside < columns));
  const auto of_fillable = [&](const at::Tensor& values) {
    return values.masked_select(fillable).to(at::kLong);
  };
  TraceGaps gaps;
  gaps.pixel = fillable.flatten().nonzero().squeeze(1);
  const at::Tensor here = of_fillable(column);
  const at::Tensor last = of_fillable(last_outside);
  const at::Tensor next = of_fillable(next_outside);
  const at::Tensor from = at::where(last < 0, next, last);
  const at::Tensor to = at::where(next == columns, last, next);
  gaps.before = gaps.pixel + (from - here);
  gaps.after = gaps.pixel + (to - here);
  gaps.share_after = (here - from).to(type) / (to - from).clamp_min(1).to(type);
  return gaps;
}

/// The straight line over each gap between the values of its two neighbours.
at::Tensor line_between(const at::Tensor& before, const at::Tensor& after, const TraceGaps& gaps) {
  return before + gaps.share_after * (after - before);
}

/// `projections` with these values [P] in the pixels of the trace.
at::Tensor filled(const at::Tensor& projections, const TraceGaps& gaps, const at::Tensor& values) {
  return projections.flatten()
      .index_copy(0, gaps.pixel, values.to(projections.scalar_type()))
      .view(projections.sizes());
}

at::ScalarType computing_type(const at::Tensor& projections) {
  return projections.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
}

/// Gaussian within each slice [H, W]; without gradients, on the image's device.
at::Tensor smoothed_slices(const at::Tensor& image, double sigma_voxel) {
  const at::Tensor plain = image.detach().to(at::kFloat);
  const at::Tensor slices = plain.cpu().contiguous().view({1, -1, image.size(-2), image.size(-1)});
  return smooth_axis(smooth_axis(slices, 2, sigma_voxel), 3, sigma_voxel)
      .view(image.sizes())
      .to(image.device());
}

void check_tissues(const PriorTissues& tissues) {
  if (tissues.air_below_per_cm >= 0.0 && tissues.air_below_per_cm <= tissues.water_per_cm &&
      tissues.water_per_cm <= tissues.bone_above_per_cm && tissues.smoothing_voxel >= 0.0)
    return;
  throw numeric_error(fmt::format(
      "prior image: expected 0 <= air_below <= water <= bone_above in 1/cm and smoothing >= 0, got "
      "{:g}, {:g}, {:g} and {:g}",
      tissues.air_below_per_cm,
      tissues.water_per_cm,
      tissues.bone_above_per_cm,
      tissues.smoothing_voxel));
}

}  // namespace

at::Tensor metal_trace(const at::Tensor& metal,
                       const ScanGeometry& scan,
                       std::int64_t columns,
                       const SliceGrid& grid) {
  if (metal.dim() < 3 || metal.size(-2) != grid.rows || metal.size(-1) != grid.columns) {
    throw shape_error(fmt::format("metal mask: expected shape [..., D, {}, {}], got {}",
                                  grid.rows,
                                  grid.columns,
                                  text_of(metal.sizes())));
  }
  const double least_cm =
      kLeastWeight * 0.1 * std::min(grid.row_spacing_mm, grid.column_spacing_mm);
  return project((metal != 0).to(at::kFloat), scan, columns, grid) > least_cm;
}

at::Tensor interpolate_trace(const at::Tensor& projections, const at::Tensor& trace) {
  check_trace(projections, trace);
  const at::ScalarType type = computing_type(projections);
  const TraceGaps gaps = gaps_of(trace, type);
  const at::Tensor values = projections.to(type).flatten();
  return filled(
      projections,
      gaps,
      line_between(values.index_select(0, gaps.before), values.index_select(0, gaps.after), gaps));
}

at::Tensor nmar_prior(const at::Tensor& image, const PriorTissues& tissues) {
  check_tissues(tissues);
  check_values(image, "image", "H, W");
  const at::Tensor smooth = smoothed_slices(image, tissues.smoothing_voxel);
  const at::Tensor with_water = at::where(
      smooth > tissues.bone_above_per_cm, image, at::full_like(image, tissues.water_per_cm));
  return with_water.masked_fill(smooth < tissues.air_below_per_cm, 0.0);
}

at::Tensor nmar(const at::Tensor& projections,
                const at::Tensor& trace,
                const at::Tensor& prior,
                const ScanGeometry& scan,
                const SliceGrid& grid) {
  check_projections(projections, scan);
  check_trace(projections, trace);
  const at::ScalarType type = computing_type(projections);
  const at::Tensor expected = project(prior.to(type), scan, projections.size(-1), grid);
  if (expected.sizes() != projections.sizes()) {
    throw shape_error(fmt::format("prior image: expected slices for projections {}, got {}",
                                  text_of(projections.sizes()),
                                  text_of(prior.sizes())));
  }
  const TraceGaps gaps = gaps_of(trace, type);
  const at::Tensor measured_values = projections.to(type).flatten();
  const at::Tensor expected_values = expected.flatten();
  const auto expected_at = [&](const at::Tensor& pixel) {
    return expected_values.index_select(0, pixel).clamp_min(0.0) + kRaisedBy;
  };
  const auto ratio_at = [&](const at::Tensor& pixel) {
    return (measured_values.index_select(0, pixel) + kRaisedBy) / expected_at(pixel);
  };
  const at::Tensor ratio = line_between(ratio_at(gaps.before), ratio_at(gaps.after), gaps);
  return filled(projections, gaps, ratio * expected_at(gaps.pixel) - kRaisedBy);
}

at::Tensor complete_trace(const at::Tensor& projections,
                          const at::Tensor& metal,
                          const TraceCompletion& completion,
                          const ScanGeometry& scan,
                          const SliceGrid& grid) {
  const at::Tensor trace = metal_trace(metal, scan, projections.size(-1), grid);
  at::Tensor interpolated = interpolate_trace(projections, trace);
  if (!completion.normalised) return interpolated;
  const at::Tensor prior = nmar_prior(fbp(interpolated, scan, grid), completion.tissues);
  return nmar(projections, trace, prior, scan, grid);
}

}  // namespace triptych
