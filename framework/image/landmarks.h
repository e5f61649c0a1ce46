// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/image/geometry.h"

#include <string>
#include <vector>

#include <Eigen/Core>

namespace triptych {

struct Landmark {
  std::string label;            ///< "" when the file has none
  Eigen::Vector3d position_mm;  ///< world, LPS
};
using Landmarks = std::vector<Landmark>;

/// Reads points by extension; positions come back in mm, LPS.
///
/// - .csv, .tsv, .txt: columns x, y, z (or X, Y, Z; or x_lps_mm, y_lps_mm, z_lps_mm) in mm, LPS; a
///   label in a column `label`, `name`, `id` or without a name.
/// - .fcsv: Slicer's fiducials; their coordinate system is in the header (RAS when it is not).
/// - .json, .mrk.json: Slicer's markups; control points of the first markup, LPS or RAS.
/// - .vtk: the points of legacy VTK poly data, ASCII or binary, taken as LPS.
///
/// Throws io_error for a file that cannot be read, data_error naming file and place for one that is
/// not understood.
Landmarks read_landmarks(const std::string& file);

/// The same for points of `image`, whose tables may have fewer columns: voxel indices i_vox, j_vox,
/// k_vox alone, and for a 2D image col_px, row_px (pixels) or x, y (mm; pixels where the spacing is
/// unknown).
Landmarks read_landmarks(const std::string& file, const Geometry& image);

/// A table as read_landmarks reads .csv files, whatever the file's extension.
Landmarks read_landmark_table(const std::string& file);

/// Writes .csv, .fcsv, .json or .vtk as read_landmarks reads them, in LPS. Atomic. Throws io_error
/// for other extensions. VTK holds no labels.
void write_landmarks(const std::string& file, const Landmarks& landmarks);

}  // namespace triptych
