// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/image/byte_stream.h"
#include "framework/image/geometry.h"
#include "framework/image/voxel_type.h"

#include <filesystem>
#include <optional>

#include <ATen/core/Tensor.h>

namespace triptych {

/// Where and how a file holds its voxels, so that a region costs a region and a missing byte is
/// noticed.
struct StoredVoxels {
  std::filesystem::path header_file;  ///< named in messages
  std::filesystem::path file;  ///< that holds the voxels; the header's own file or one beside it
  std::int64_t offset = 0;     ///< of the raw data or of the compressed stream
  std::int64_t lead =
      0;  ///< decoded bytes before the first voxel (the header of a compressed NIfTI file)
  std::int64_t compressed_bytes = 0;  ///< 0 when the header does not state it
  Coding coding = Coding::kRaw;
  VoxelType type = VoxelType::kUInt8;
  bool swapped = false;  ///< the bytes of a value are not in this machine's order
  Index3 shape{1, 1, 1};
  std::int64_t channels = 1;
  bool planar = false;  ///< channel by channel; otherwise the channels of a voxel lie together
  double slope = 1.0;
  double intercept = 0.0;

  std::int64_t values() const { return channels * shape[0] * shape[1] * shape[2]; }
  std::int64_t bytes() const { return values() * bytes_of(type); }
};

/// Voxels [C, D, H, W] of a region, without slope and intercept; throws io_error when data are
/// missing.
at::Tensor read_stored(const StoredVoxels& stored, const Region& region);

/// Compares the size of the data with what the header promises: at once for raw data and for one
/// gzip member (whose last bytes tell its size), by inflating otherwise. Throws io_error `<file>:
/// truncated, expected .. got ..`.
void check_stored(const StoredVoxels& stored);

/// A first look at the sizes that a header states, before memory is asked for them. Throws io_error
/// when the file is too short for them: raw voxels are counted; deflate (RFC 1951) makes at most
/// 1032 bytes of one.
void check_stated_size(const StoredVoxels& stored);

/// What the header's text or bytes say beyond what ITK tells.
struct HeaderFacts {
  bool spacing_known = true;
  std::optional<StoredVoxels> voxels;  ///< none where only ITK knows how to read them
};

HeaderFacts nifti_facts(const std::filesystem::path& file);
HeaderFacts metaimage_facts(const std::filesystem::path& file);
HeaderFacts nrrd_facts(const std::filesystem::path& file);

/// Stored in files whose format cannot say that a spacing is unknown.
inline constexpr char kSpacingKey[] = "triptych_spacing";
inline constexpr char kSpacingUnknown[] = "spacing unknown";

}  // namespace triptych
