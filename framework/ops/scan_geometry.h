// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace triptych {

/// How projections were taken; angles in radians inside the program.
///
/// In a slice [H, W] let x grow with the column and y with the row (downwards), in mm from the
/// rotation axis. At angle a the detector's columns grow along u = (cos a, -sin a), and rays run
/// along d = (sin a, cos a): at angle 0 they run down the image's columns. A positive angle is the
/// one of scikit-image's radon. A parallel ray through (x, y) meets the detector at u . (x, y); a
/// fan's source is at -source_to_axis_mm * d, and its detector beyond the axis.
struct ScanGeometry {
  enum class Beam {
    kParallel,
    kFanFlat,   ///< columns equally spaced on a line across the central ray
    kFanCurved  ///< columns equally spaced on an arc about the source; spacing is arc length
  } beam = Beam::kParallel;
  std::vector<double> angles_rad;
  double column_spacing_mm = 1.0;      ///< detector pixel width (at the detector)
  double row_spacing_mm = 1.0;         ///< detector pixel height
  double centre_column = 0.0;          ///< detector column of the rotation axis, in pixels
  double source_to_axis_mm = 0.0;      ///< fan beams only
  double source_to_detector_mm = 0.0;  ///< fan beams only

  bool operator==(const ScanGeometry&) const = default;
};

/// "parallel", "fan_flat" or "fan_curved".
std::string beam_text(ScanGeometry::Beam beam);
/// The inverse; throws usage_error naming these.
ScanGeometry::Beam beam_from_text(const std::string& text);

/// Throws data_error when the number of angles is not that of the projections, and geometry_error
/// when a length, an angle or the centre column is impossible. `angles` and `columns` are sizes of
/// the projections.
void check(const ScanGeometry& scan, std::int64_t angles, std::int64_t columns);

}  // namespace triptych
