// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>

namespace triptych {

/// Throw io_error `<file>: truncated, ...` when a picture lacks its end mark; decoders fill the
/// rest with grey in silence.
void check_png_end(const std::filesystem::path& file);
void check_jpeg_end(const std::filesystem::path& file);
/// A legacy VTK file in binary form has at least `voxel_bytes` bytes after its header; text files
/// are left to the reader.
void check_vtk_size(const std::filesystem::path& file, std::int64_t voxel_bytes);

}  // namespace triptych
