// SPDX-License-Identifier: Apache-2.0
#include "framework/core/error.h"
#include "framework/image/format.h"
#include "framework/image/slabs.h"

#include <algorithm>

#include <ATen/ATen.h>

namespace triptych {
namespace {

constexpr std::int64_t kSlabBytes = std::int64_t{16} << 20;

}  // namespace

VolumeSource source_of(const Volume& volume) {
  VolumeSource source{volume.geometry, volume.data.size(0), volume.data.scalar_type(), {}};
  source.read = [data = volume.data](std::int64_t channel, const Region& region) {
    at::Tensor piece = data[channel];
    for (std::size_t axis = 0; axis < 3; ++axis) {
      piece = piece.narrow(static_cast<std::int64_t>(axis), region.start[axis], region.size[axis]);
    }
    return piece;
  };
  return source;
}

at::Tensor all_voxels(const VolumeSource& source) {
  const Region everything{{0, 0, 0}, source.geometry.shape};
  if (source.channels == 1) return source.read(0, everything).unsqueeze(0);
  std::vector<at::Tensor> channels;
  for (std::int64_t channel = 0; channel < source.channels; ++channel)
    channels.push_back(source.read(channel, everything));
  return at::stack(channels);
}

at::Tensor encoded_piece(const WriteRequest& request,
                         std::int64_t channel,
                         const Region& region,
                         const std::string& place) {
  const at::Tensor piece = request.source.read(channel, region);
  TRIPTYCH_ASSERT(piece.sizes() == at::IntArrayRef(region.size));
  return encode_values(piece, request.type, place);
}

at::Tensor encoded_voxels(const WriteRequest& request, const std::string& place) {
  const Region everything{{0, 0, 0}, request.source.geometry.shape};
  const at::Tensor first = encoded_piece(request, 0, everything, place);
  if (request.source.channels == 1) return first.unsqueeze(3);
  const auto& [depth, height, width] = everything.size;
  at::Tensor result = at::empty({depth, height, width, request.source.channels}, first.options());
  result.select(3, 0).copy_(first);
  for (std::int64_t channel = 1; channel < request.source.channels; ++channel)
    result.select(3, channel).copy_(encoded_piece(request, channel, everything, place));
  return result;
}

std::vector<Region> slabs_of(const Index3& shape, std::int64_t bytes_per_voxel) {
  const std::int64_t slice_bytes = std::max<std::int64_t>(1, shape[1] * shape[2] * bytes_per_voxel);
  const std::int64_t slices = std::max<std::int64_t>(1, kSlabBytes / slice_bytes);
  return slabs_of_slices(shape, slices);
}

}  // namespace triptych
