// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/scan_geometry.h"

#include "framework/core/error.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace triptych {
namespace {

void check_length(double value, const char* name) {
  if (std::isfinite(value) && value > 0.0) return;
  throw geometry_error(
      fmt::format("scan geometry: '{}' must be a positive length in mm, got {}", name, value));
}

void check_fan(const ScanGeometry& scan, std::int64_t columns) {
  check_length(scan.source_to_axis_mm, "source_to_axis_mm");
  check_length(scan.source_to_detector_mm, "source_to_detector_mm");
  if (scan.source_to_detector_mm < scan.source_to_axis_mm) {
    throw geometry_error(
        fmt::format("scan geometry: the detector must lie beyond the rotation axis, got "
                    "source_to_detector_mm {} and source_to_axis_mm {}",
                    scan.source_to_detector_mm,
                    scan.source_to_axis_mm));
  }
  const double half_width_mm =
      scan.column_spacing_mm *
      std::max(scan.centre_column, static_cast<double>(columns - 1) - scan.centre_column);
  const bool curved = scan.beam == ScanGeometry::Beam::kFanCurved;
  if (curved && half_width_mm / scan.source_to_detector_mm >= 0.5 * std::numbers::pi) {
    throw geometry_error(fmt::format(
        "scan geometry: a fan must open less than 90 degrees to either side, got {:.1f}",
        half_width_mm / scan.source_to_detector_mm * 180.0 / std::numbers::pi));
  }
}

}  // namespace

std::string beam_text(ScanGeometry::Beam beam) {
  switch (beam) {
    case ScanGeometry::Beam::kParallel:
      return "parallel";
    case ScanGeometry::Beam::kFanFlat:
      return "fan_flat";
    case ScanGeometry::Beam::kFanCurved:
      return "fan_curved";
  }
  TRIPTYCH_ASSERT(false);
}

ScanGeometry::Beam beam_from_text(const std::string& text) {
  using Beam = ScanGeometry::Beam;
  for (const Beam beam : {Beam::kParallel, Beam::kFanFlat, Beam::kFanCurved})
    if (text == beam_text(beam)) return beam;
  throw usage_error(fmt::format("beam: expected parallel, fan_flat or fan_curved, got '{}'", text));
}

void check(const ScanGeometry& scan, std::int64_t angles, std::int64_t columns) {
  if (static_cast<std::int64_t>(scan.angles_rad.size()) != angles) {
    throw data_error(
        fmt::format("projections: expected one angle for each of {} projections, got {} angles",
                    angles,
                    scan.angles_rad.size()));
  }
  if (angles < 1 || columns < 1) {
    throw data_error(fmt::format(
        "projections: expected at least one angle and one detector column, got {} and {}",
        angles,
        columns));
  }
  for (std::size_t i = 0; i < scan.angles_rad.size(); ++i) {
    if (!std::isfinite(scan.angles_rad[i]))
      throw data_error(fmt::format("projections: angle {} is not a number", i));
  }
  check_length(scan.column_spacing_mm, "column_spacing_mm");
  check_length(scan.row_spacing_mm, "row_spacing_mm");
  if (!std::isfinite(scan.centre_column))
    throw geometry_error("scan geometry: 'centre_column' is not a number");
  if (scan.beam != ScanGeometry::Beam::kParallel) check_fan(scan, columns);
}

}  // namespace triptych
