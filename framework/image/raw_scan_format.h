// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/image/raw_scan.h"

#include <filesystem>

/// What the kinds of raw scans implement and share.
namespace triptych {

std::unique_ptr<RawScan> open_hdf5_scan(const std::filesystem::path& file,
                                        const RawScanOptions& options);
std::unique_ptr<RawScan> open_image_scan(const std::string& location,
                                         const RawScanOptions& options);

/// Where an HDF5 file keeps its scan.
struct LocatedScan {
  std::string format;
  ScanDatasets datasets;
};
/// Datasets of `options.format`, or of the first format that fits, with those of `options.datasets`
/// in their place. Throws io_error listing the datasets of the file. `file` is an open HDF5 file.
LocatedScan locate_scan(std::int64_t file, const std::string& place, const RawScanOptions& options);

/// Angles in radians from values of a file; a unit of "" is degrees. Throws data_error for another
/// unit than degrees or radians, or an angle that is not finite.
std::vector<double> angles_in_radians(std::vector<double> values,
                                      const std::string& unit,
                                      const std::string& place);
/// A length in mm; nothing for a unit of "", data_error for one that is no length or a value that
/// is not positive.
std::optional<double> length_in_mm(double value, const std::string& unit, const std::string& place);

}  // namespace triptych
