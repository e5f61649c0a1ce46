// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>

namespace triptych {

/// Throw io_error when a picture lacks the mark of its format at the start or at the end; decoders
/// fill what is missing with grey in silence.
void check_png_marks(const std::filesystem::path& file);
void check_jpeg_marks(const std::filesystem::path& file);
/// Throws io_error unless all pixels of a DICOM file are there, where GDCM fills up with zeros: raw
/// ones are counted, compressed ones have an end mark.
void check_dicom_pixels(const std::filesystem::path& file);
/// A legacy VTK file in binary form has at least `voxel_bytes` bytes after its header; text files
/// are left to the reader.
void check_vtk_size(const std::filesystem::path& file, std::int64_t voxel_bytes);

}  // namespace triptych
