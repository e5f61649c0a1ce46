// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/image/class_table.h"
#include "framework/image/volume.h"

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include <Eigen/Core>

namespace triptych {

/// How colour images become channels.
enum class ColorMode {
  kKeep,  ///< one channel per component
  kGrey,  ///< Rec. 601 luma of RGB(A); a single channel stays
};

/// What a reader may be told. A location is a file, a folder (DICOM series or stack of 2D slices)
/// or `file.h5:/dataset`.
struct ReadOptions {
  ColorMode color = ColorMode::kKeep;
  /// Spacing (x, y, z) in mm for files that state none; contradicting a stated spacing by more than
  /// 1 % is an error.
  std::optional<Eigen::Vector3d> spacing_mm;
  bool apply_rescale = true;  ///< apply slope and intercept (DICOM, NIfTI); the result is float32
                              ///< unless they are 1, 0
};

/// What is known before a voxel is read.
struct VolumeHeader {
  Geometry geometry;
  std::int64_t channels = 1;
  at::ScalarType type = at::kFloat;
  std::string
      format;  ///< "nifti", "metaimage", "nrrd", "tiff", "png", "jpeg", "dicom", "hdf5", "slices"
  bool reads_regions = false;  ///< true when a region costs a region and not the whole file
};

/// Reads a header. Throws io_error (missing, empty, truncated, unknown format) or geometry_error.
VolumeHeader read_header(const std::string& location, const ReadOptions& options = {});
/// Reads everything; data is [C, D, H, W]. The type is the file's (unsigned 16/32 bit become the
/// next signed type).
Volume read_volume(const std::string& location, const ReadOptions& options = {});
/// Reads a box of voxels [D, H, W]; cheap where `VolumeHeader::reads_regions`, else the file is
/// read and cropped.
Volume read_region(const std::string& location,
                   const Region& region,
                   const ReadOptions& options = {});
/// Reads a label map: one channel of whole numbers, returned as int64 [1, D, H, W]; throws
/// data_error for fractions, NaN or several channels, naming the first offending value. Float files
/// with whole numbers are accepted.
Volume read_labels(const std::string& location, const ReadOptions& options = {});

/// A volume that is made piece by piece while it is written, so that it need not be in memory.
struct VolumeSource {
  Geometry geometry;
  std::int64_t channels = 1;
  at::ScalarType type = at::kFloat;
  /// Voxels [d, h, w] of one channel in a region, as often as they are asked for.
  std::function<at::Tensor(std::int64_t channel, const Region& region)> read;
};
/// Pieces of a volume in memory; they share its data.
VolumeSource source_of(const Volume& volume);
/// All voxels of a source, [C, D, H, W].
at::Tensor all_voxels(const VolumeSource& source);

/// Writes by extension: .nii .nii.gz .mha .mhd .nrrd .nhdr .vtk, .h5 (`file.h5:/path`, chunked,
/// deflate), .tif (ImageJ description + JSON sidecar), .png and .jpg (2D, 8/16 bit), or a folder of
/// .tif slices for a location ending in '/'. float32 or any integer type; compressed where the
/// format can. Atomic: temporary file, flush, rename.
void write_volume(const std::string& location, const Volume& volume);
/// The same from pieces: .nii, .nii.gz, .h5, .tif and folders of slices hold some tens of MB of the
/// volume at a time; the other formats are put together in memory.
void write_volume(const std::string& location, const VolumeSource& source);
/// Writes class indices or values as the smallest integer type that holds them, compressed.
/// `.seg.nrrd` gets Slicer's segment fields from `classes`.
void write_labels(const std::string& location, const Volume& labels, const ClassTable& classes);

/// The same from pieces, which are asked for twice: their range chooses the type.
void write_labels(const std::string& location,
                  const VolumeSource& labels,
                  const ClassTable& classes);

/// Throws io_error unless write_volume would know how to write to `location`, before anything is
/// computed for it.
void check_writable(const std::string& location);

/// True when `location` names something read_header would try (extension or folder), without
/// opening it.
bool is_image_location(const std::string& location);

}  // namespace triptych
