// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/ct_scan.h"

#include "framework/core/error.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include <ATen/ATen.h>
#include <fmt/core.h>

namespace triptych {
namespace {

constexpr double kCmPerMm = 0.1;

bool is_fan(const CtScan& scan) { return scan.beam != ScanGeometry::Beam::kParallel; }

/// Edge of a slice's pixel as it appears at the detector.
double pixel_at_detector_mm(const SliceGrid& grid, const CtScan& scan) {
  const double pixel = std::min(grid.row_spacing_mm, grid.column_spacing_mm);
  return is_fan(scan) ? pixel * scan.source_to_detector_mm / scan.source_to_axis_mm : pixel;
}

/// Length of a detector that sees the whole slice from every side.
double covering_length_mm(const SliceGrid& grid, const CtScan& scan) {
  const double height = static_cast<double>(grid.rows) * grid.row_spacing_mm;
  const double width = static_cast<double>(grid.columns) * grid.column_spacing_mm;
  const double diagonal = std::hypot(height, width);
  if (!is_fan(scan)) return diagonal;
  const double half_angle = std::asin(std::min(0.5 * diagonal / scan.source_to_axis_mm, 0.99));
  const bool flat = scan.beam == ScanGeometry::Beam::kFanFlat;
  return 2.0 * scan.source_to_detector_mm * (flat ? std::tan(half_angle) : half_angle);
}

std::int64_t detector_columns(const SliceGrid& grid, const CtScan& scan, double column_mm) {
  if (scan.columns > 0) return scan.columns;
  return static_cast<std::int64_t>(std::ceil(covering_length_mm(grid, scan) / column_mm)) | 1;
}

ScanGeometry scan_geometry(std::int64_t columns, double column_mm, const CtScan& scan) {
  ScanGeometry geometry;
  geometry.beam = scan.beam;
  geometry.source_to_axis_mm = scan.source_to_axis_mm;
  geometry.source_to_detector_mm = scan.source_to_detector_mm;
  geometry.column_spacing_mm = geometry.row_spacing_mm = column_mm;
  geometry.centre_column = 0.5 * static_cast<double>(columns - 1) + scan.axis_shift;
  const std::int64_t views =
      scan.views > 0 ? scan.views
                     : static_cast<std::int64_t>(
                           std::ceil(std::numbers::pi / 2.0 * static_cast<double>(columns)));
  for (std::int64_t view = 0; view < views; ++view) {
    geometry.angles_rad.push_back(scan.arc_deg * std::numbers::pi / 180.0 *
                                  static_cast<double>(view) / static_cast<double>(views));
  }
  return geometry;
}

/// Share of bone in what attenuates `mu`: none up to a third above water, all from twice water on.
at::Tensor bone_share(const at::Tensor& mu, double water) {
  return ((mu / water - 4.0 / 3.0) / (2.0 - 4.0 / 3.0)).clamp(0.0, 1.0);
}

/// Line integrals without errors of measurement, at one energy or hardened and corrected for water.
at::Tensor measured(const ScannedObject& object,
                    const SliceGrid& grid,
                    const ScanGeometry& geometry,
                    std::int64_t columns,
                    const CtScan& scan) {
  // All materials in one call: the kernels work on slices side by side.
  const auto along_rays = [&](const std::vector<at::Tensor>& slices) {
    return project(at::stack(slices), geometry, columns, grid).unbind(0);
  };
  const double reference = CtScan::kReferenceKev;
  const double metal_mu = attenuation_per_cm(scan.metal, reference);
  const bool metal = object.metal.defined();
  const at::Tensor body = metal ? object.attenuation * (1.0 - object.metal) : object.attenuation;
  if (scan.peak_kv <= 0.0)
    return along_rays({metal ? body + metal_mu * object.metal : body}).front();

  const double water_mu = attenuation_per_cm(XRayMaterial::kWater, reference);
  const double bone_mu = attenuation_per_cm(XRayMaterial::kBone, reference);
  const at::Tensor share = bone_share(body, water_mu);
  std::vector<at::Tensor> slices = {body * (1.0 - share) / water_mu, body * share / bone_mu};
  if (metal) slices.push_back(object.metal);
  const std::vector<at::Tensor> lengths = along_rays(slices);
  std::vector<MaterialPath> paths = {{XRayMaterial::kWater, lengths[0]},
                                     {XRayMaterial::kBone, lengths[1]}};
  if (metal) paths.push_back({scan.metal, lengths[2]});
  const XRaySpectrum spectrum = tube_spectrum(scan.peak_kv, scan.aluminium_mm);
  const at::Tensor p = polychromatic_line_integrals(paths, spectrum);
  const double longest_cm = kCmPerMm * static_cast<double>(columns) * geometry.column_spacing_mm;
  const at::Tensor corrected = corrected_for_water(p, spectrum, longest_cm);
  return corrected * (water_mu / mean_attenuation_per_cm(XRayMaterial::kWater, spectrum));
}

/// Shifts every view by the object's drift at that time: linear interpolation along the detector.
at::Tensor with_motion(const at::Tensor& projections,
                       const ScanGeometry& geometry,
                       double motion_mm,
                       RandomStream stream) {
  const auto views = static_cast<std::int64_t>(geometry.angles_rad.size());
  const double direction = stream.uniform(0.0, 2.0 * std::numbers::pi);
  const std::int64_t columns = projections.size(-1);
  const at::Tensor column = at::arange(columns, at::kDouble);
  std::vector<at::Tensor> moved;
  for (std::int64_t view = 0; view < views; ++view) {
    const double drift = motion_mm * static_cast<double>(view) / static_cast<double>(views);
    const double angle = geometry.angles_rad[static_cast<std::size_t>(view)];
    const double shift = drift * std::cos(direction - angle) / geometry.column_spacing_mm;
    const at::Tensor from = (column - shift).clamp(0.0, static_cast<double>(columns - 1));
    const at::Tensor low = from.floor().clamp_max(static_cast<double>(columns - 2));
    const at::Tensor part = (from - low).to(projections.scalar_type());
    const at::Tensor index = low.to(at::kLong);
    const at::Tensor row = projections.select(-2, view);
    moved.push_back(row.index_select(-1, index) * (1.0 - part) +
                    row.index_select(-1, index + 1) * part);
  }
  return at::stack(moved, -2);
}

/// What a detector of fewer columns sees, continued by its outermost values.
at::Tensor truncated(const at::Tensor& projections, double share) {
  const std::int64_t columns = projections.size(-1);
  const auto kept = std::max<std::int64_t>(
      1, static_cast<std::int64_t>(std::lround(share * static_cast<double>(columns))));
  if (kept >= columns) return projections;
  const std::int64_t first = (columns - kept) / 2;
  const at::Tensor index = at::arange(columns, at::kLong).clamp(first, first + kept - 1);
  return projections.index_select(-1, index);
}

void check_scan(const CtScan& scan) {
  if (scan.views < 0 || !(scan.arc_deg > 0.0) || !(scan.detector_share > 0.0) ||
      scan.detector_share > 1.0) {
    throw numeric_error(fmt::format(
        "CT scan: expected views >= 0, an arc above 0 degrees and a detector share in (0, 1], got "
        "{}, {:g} and {:g}",
        scan.views,
        scan.arc_deg,
        scan.detector_share));
  }
  if (is_fan(scan) && !(scan.source_to_axis_mm > 0.0 && scan.source_to_detector_mm > 0.0))
    throw numeric_error("CT scan: expected distances of the source above 0 for a fan beam");
}

}  // namespace

SimulatedScan simulate_projections(const ScannedObject& object,
                                   const SliceGrid& grid,
                                   const CtScan& scan,
                                   const RandomStream& stream) {
  check_scan(scan);
  if (object.metal.defined() && !object.metal.sizes().equals(object.attenuation.sizes()))
    throw shape_error("CT scan: expected a metal mask of the size of the slices");
  const double column_mm =
      scan.column_spacing_mm > 0.0 ? scan.column_spacing_mm : pixel_at_detector_mm(grid, scan);
  const std::int64_t columns = detector_columns(grid, scan, column_mm);
  ScanGeometry geometry = scan_geometry(columns, column_mm, scan);
  at::Tensor p = measured(object, grid, geometry, columns, scan);
  if (scan.motion_mm > 0.0) p = with_motion(p, geometry, scan.motion_mm, stream.derive("motion"));
  if (scan.photons > 0.0)
    p = with_photon_noise(p, {scan.photons, scan.electronic}, stream.derive("photons"));
  if (scan.gain_deviation > 0.0)
    p = with_gain_errors(p, scan.gain_deviation, stream.derive("gains"));
  return {truncated(p, scan.detector_share), std::move(geometry)};
}

at::Tensor simulate_ct_scan(const ScannedObject& object,
                            const SliceGrid& grid,
                            const CtScan& scan,
                            const RandomStream& stream) {
  const SimulatedScan measured = simulate_projections(object, grid, scan, stream);
  return fbp(measured.projections, measured.geometry, grid, scan.filter);
}

}  // namespace triptych
