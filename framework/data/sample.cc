// SPDX-License-Identifier: Apache-2.0
#include "framework/data/sample.h"

#include "framework/core/error.h"
#include "framework/core/suggest.h"

namespace triptych {

std::string kind_text(EntryKind kind) {
  switch (kind) {
    case EntryKind::kIntensity:
      return "intensity";
    case EntryKind::kLabel:
      return "label";
    case EntryKind::kVectorField:
      return "vector field";
    case EntryKind::kPoints:
      return "points";
    case EntryKind::kProjections:
      return "projections";
  }
  return "unknown";
}

const Entry* Sample::find(const std::string& name) const {
  const auto found = entries.find(name);
  return found == entries.end() ? nullptr : &found->second;
}

const Entry& Sample::at(const std::string& name) const {
  if (const Entry* entry = find(name)) return *entry;
  std::vector<std::string> names;
  for (const auto& [key, entry] : entries) names.push_back(key);
  throw data_error(fmt::format("sample {}: no entry '{}'{}", id, name, did_you_mean(name, names)),
                   "it has: " + join(names));
}

Entry& Sample::at(const std::string& name) {
  return const_cast<Entry&>(static_cast<const Sample&>(*this).at(name));
}

Geometry sliced_along(const Geometry& geometry, int axis) {
  TRIPTYCH_ASSERT(axis >= 0 && axis < 3);
  Geometry result = geometry;
  for (int out = 0; out < 3; ++out) {
    const int in = kSliceOrder[axis][out];
    result.shape[out] = geometry.shape[in];
    // Tensor axis t is ITK axis 2 - t.
    result.spacing[2 - out] = geometry.spacing[2 - in];
    result.direction.col(2 - out) = geometry.direction.col(2 - in);
  }
  return result;
}

Entry sliced_along(const Entry& entry, int axis) {
  if (axis == 0 || entry.kind == EntryKind::kPoints || entry.kind == EntryKind::kProjections)
    return entry;
  Entry result = entry;
  const auto& order = kSliceOrder[axis];
  result.data = entry.data.permute({0, 1 + order[0], 1 + order[1], 1 + order[2]});
  result.geometry = sliced_along(entry.geometry, axis);
  return result;
}

Entry detector_rows(const Entry& projections, const Region& region) {
  const bool parallel =
      projections.scan != nullptr && projections.scan->beam == ScanGeometry::Beam::kParallel;
  const Index3& shape = projections.geometry.shape;
  if (!parallel || projections.data.size(1) != shape[0] || region.size[0] == shape[0])
    return projections;
  Entry result = projections;
  result.data = projections.data.narrow(1, region.start[0], region.size[0]);
  result.geometry =
      projections.geometry.cropped({{region.start[0], 0, 0}, {region.size[0], shape[1], shape[2]}});
  return result;
}

}  // namespace triptych
