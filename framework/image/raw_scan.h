// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

namespace triptych {

/// Datasets of an HDF5 file that make up a scan; "" where it has none.
struct ScanDatasets {
  std::string data;       ///< [angle, row, column], or as its attribute `axes` says
  std::string flats;      ///< beam without sample: [frame, row, column] or [row, column]
  std::string darks;      ///< no beam, alike
  std::string angles;     ///< one a frame of `data`; attribute `units`, else degrees
  std::string image_key;  ///< what each frame of `data` is: 0 projection, 1 flat, 2 dark, 3 invalid
  std::string pixel_size;  ///< detector pixel at the sample, one number; unknown without `units`
};

/// What opening a raw scan may be told.
struct RawScanOptions {
  /// "auto", or of an HDF5 file: "dxchange" (Data Exchange), "nxtomo" (NeXus NXtomo), "plain"
  /// (/tomo, /flat, /dark).
  std::string format = "auto";
  ScanDatasets datasets;  ///< paths that replace those of the format
  /// What the axes of images are: "projections" (one picture an angle), "sinogram" (one picture a
  /// detector row, its rows are angles), "sinogram_transposed" (its columns are angles), "auto":
  /// one picture alone is a sinogram, several are projections.
  std::string layout = "auto";
  std::string flats;           ///< images of the beam without sample; a location
  std::string darks;           ///< images without beam; a location
  bool angles_stated = false;  ///< somebody else knows the angles: those of the file are not read
};

struct RawScanHeader {
  std::string place;  ///< for messages
  std::string format;
  std::int64_t projections = 0;
  std::int64_t rows = 0;  ///< of the detector
  std::int64_t columns = 0;
  std::int64_t flats = 0;
  std::int64_t darks = 0;
  std::vector<double> angles_rad;       ///< of the projections; empty when the scan states none
  std::optional<double> pixel_size_mm;  ///< none when the scan does not state it with its unit
  std::optional<double> saturation;     ///< highest count that unsigned 8 or 16 bits can hold
};

/// An open raw scan: projections, flats and darks, read by detector rows so that memory is bounded
/// by what is asked for.
class RawScan {
 public:
  enum class Frames { kProjections, kFlats, kDarks };

  virtual ~RawScan() = default;
  const RawScanHeader& header() const { return header_; }
  /// Detector rows [first_row, first_row + rows) of all frames of a kind: [frame, row, column],
  /// float32, as counted. Throws data_error naming frame and row of a NaN or an infinite value.
  at::Tensor read(Frames kind, std::int64_t first_row, std::int64_t rows);

 protected:
  virtual at::Tensor read_rows(Frames kind, std::int64_t first_row, std::int64_t rows) = 0;
  RawScanHeader header_;
};

/// Opens an HDF5 scan (`file.h5`), or images: a folder of pictures, a stack of pages, one sinogram,
/// or an HDF5 dataset (`file.h5:/dataset`). Pictures of a folder named *dark* or *_dar* are darks,
/// *flat*, *white* or *_ref* are flats. Throws io_error or data_error for a scan without
/// projections, angles that are not one a projection, and units that are none.
std::unique_ptr<RawScan> open_raw_scan(const std::string& location,
                                       const RawScanOptions& options = {});

}  // namespace triptych
