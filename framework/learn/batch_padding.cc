// SPDX-License-Identifier: Apache-2.0
#include "framework/learn/batch_padding.h"

#include <algorithm>

#include <ATen/ATen.h>

namespace triptych {
namespace {

constexpr std::int64_t kIgnoredLabel = -1;

/// Voxels that axis `axis` lacks.
std::int64_t lack(const at::Tensor& data, int axis, std::int64_t multiple) {
  const std::int64_t size = data.size(2 + axis);
  return (size + multiple - 1) / multiple * multiple - size;
}

void pad(BatchEntry& entry, const std::array<std::int64_t, 3>& multiple) {
  const std::int64_t d = lack(entry.data, 0, multiple[0]);
  const std::int64_t h = lack(entry.data, 1, multiple[1]);
  const std::int64_t w = lack(entry.data, 2, multiple[2]);
  if (d == 0 && h == 0 && w == 0) return;
  const std::vector<std::int64_t> before = entry.data.sizes().vec();
  entry.data = entry.kind == EntryKind::kLabel
                   ? at::constant_pad_nd(entry.data, {0, w, 0, h, 0, d}, kIgnoredLabel)
                   : at::replication_pad3d(entry.data, {0, w, 0, h, 0, d});
  if (!entry.valid) entry.valid = Region{{0, 0, 0}, {before[2], before[3], before[4]}};
  for (Geometry& geometry : entry.geometry)
    geometry.shape = {entry.data.size(2), entry.data.size(3), entry.data.size(4)};
}

/// `multiple` in the voxels of a role.
std::array<std::int64_t, 3> multiple_of(const std::string& role,
                                        std::array<std::int64_t, 3> multiple,
                                        const std::vector<RoleBinding>& roles) {
  for (const RoleBinding& binding : roles) {
    if (binding.role != role) continue;
    for (std::size_t axis = 0; axis < 3; ++axis) multiple[axis] *= binding.upsampling[axis];
  }
  return multiple;
}

}  // namespace

Batch padded_to(const Batch& batch,
                const std::array<std::int64_t, 3>& multiple,
                const std::vector<RoleBinding>& roles) {
  Batch padded = batch;
  for (auto& [role, entry] : padded.entries) {
    const bool grid = entry.kind != EntryKind::kPoints && entry.kind != EntryKind::kProjections;
    if (grid && entry.data.defined()) pad(entry, multiple_of(role, multiple, roles));
  }
  return padded;
}

at::Tensor unpadded(const at::Tensor& tensor, const Index3& size) {
  if (tensor.dim() < 3) return tensor;
  at::Tensor part = tensor;
  for (int axis = 0; axis < 3; ++axis) {
    const std::int64_t dim = tensor.dim() - 3 + axis;
    part = part.narrow(dim, 0, std::min(part.size(dim), size[static_cast<std::size_t>(axis)]));
  }
  return part;
}

}  // namespace triptych
