// SPDX-License-Identifier: Apache-2.0
#include "framework/core/error.h"
#include "framework/data/dense.h"
#include "framework/data/finer_grid.h"
#include "framework/data/loader.h"

#include <algorithm>
#include <cmath>

#include <ATen/ops/empty.h>

namespace triptych {
namespace {

Region clipped(const Region& region, const Index3& shape) {
  Region result;
  for (std::size_t i = 0; i < 3; ++i) {
    const std::int64_t begin = std::clamp<std::int64_t>(region.start[i], 0, shape[i] - 1);
    const std::int64_t end =
        std::clamp<std::int64_t>(region.start[i] + region.size[i], begin + 1, shape[i]);
    result.start[i] = begin;
    result.size[i] = end - begin;
  }
  return result;
}

template <class T>
void fill_padded(
    const at::Tensor& source, at::Tensor& result, const Index3& before, bool repeat_edge, T fill) {
  const T* from = source.data_ptr<T>();
  T* to = result.data_ptr<T>();
  const std::int64_t depth = source.size(1), height = source.size(2), width = source.size(3);
  for (std::int64_t c = 0; c < result.size(0); ++c) {
    for (std::int64_t d = 0; d < result.size(1); ++d) {
      const std::int64_t sd = std::clamp<std::int64_t>(d - before[0], 0, depth - 1);
      for (std::int64_t h = 0; h < result.size(2); ++h) {
        const std::int64_t sh = std::clamp<std::int64_t>(h - before[1], 0, height - 1);
        const bool row_inside = sd == d - before[0] && sh == h - before[1];
        const T* row = from + ((c * depth + sd) * height + sh) * width;
        for (std::int64_t w = 0; w < result.size(3); ++w) {
          const std::int64_t sw = std::clamp<std::int64_t>(w - before[2], 0, width - 1);
          *to++ = repeat_edge || (row_inside && sw == w - before[2]) ? row[sw] : fill;
        }
      }
    }
  }
}

/// Reads `region`, which may stick out of the entry's grid: slabs repeat their edge slice in every
/// entry, patches repeat the edge of images and mark labels as -1 (ignore).
Entry read_padded(const Dataset& dataset,
                  std::size_t sample,
                  const EntrySpec& spec,
                  const Region& region,
                  bool slab) {
  const Region inside = clipped(region, spec.geometry.shape);
  Entry entry = dataset.read(sample, spec.name, inside);
  if (inside == region) return entry;
  const Index3 before{inside.start[0] - region.start[0],
                      inside.start[1] - region.start[1],
                      inside.start[2] - region.start[2]};
  const bool label = entry.kind == EntryKind::kLabel;
  const at::Tensor source = label ? dense_int64(entry.data) : dense_float(entry.data);
  at::Tensor result =
      at::empty({source.size(0), region.size[0], region.size[1], region.size[2]}, source.options());
  if (label) {
    fill_padded<std::int64_t>(source, result, before, slab, -1);
  } else {
    fill_padded<float>(source, result, before, true, 0.0F);
  }
  entry.data = result;
  entry.geometry = entry.geometry.cropped({{-before[0], -before[1], -before[2]}, region.size});
  return entry;
}

/// The detector rows of the region's slices; rows beyond the edge repeat it.
Entry read_rows(const Dataset& dataset,
                std::size_t sample,
                const EntrySpec& spec,
                const Region& region) {
  const Region inside = clipped(region, spec.geometry.shape);
  Entry entry = dataset.read(sample, spec.name, inside);
  if (inside.size[0] == region.size[0] || entry.data.size(1) != inside.size[0]) return entry;
  const Index3 before{inside.start[0] - region.start[0], 0, 0};
  const at::Tensor source = dense_float(entry.data);
  entry.data =
      at::empty({source.size(0), region.size[0], source.size(2), source.size(3)}, source.options());
  fill_padded<float>(source, entry.data, before, true, 0.0F);
  const Index3& shape = entry.geometry.shape;
  entry.geometry =
      entry.geometry.cropped({{-before[0], 0, 0}, {region.size[0], shape[1], shape[2]}});
  return entry;
}

Eigen::Vector3d corner_index(const Region& region, int corner) {
  Eigen::Vector3d index;
  for (int axis = 0; axis < 3; ++axis) {
    const auto a = static_cast<std::size_t>(2 - axis);
    index[axis] =
        static_cast<double>(region.start[a] + ((corner >> axis & 1) != 0 ? region.size[a] - 1 : 0));
  }
  return index;
}

/// The voxels of `grid` over the box that `region` of `reference` spans between its corner voxels'
/// centres. Its size depends on the region's size alone, so that boxes of equal regions can be
/// stacked; it may stick out of the grid.
Region world_box(const Region& region, const Geometry& reference, const Geometry& grid) {
  Eigen::Vector3d low = Eigen::Vector3d::Constant(1e30), high = -low;
  for (int corner = 0; corner < 8; ++corner) {
    const Eigen::Vector3d index =
        grid.index_from_world(reference.world_from_index(corner_index(region, corner)));
    low = low.cwiseMin(index);
    high = high.cwiseMax(index);
  }
  Region box;
  for (int axis = 0; axis < 3; ++axis) {
    const auto a = static_cast<std::size_t>(2 - axis);
    box.start[a] = std::llround(low[axis]);
    box.size[a] = std::llround(high[axis] - low[axis]) + 1;
  }
  return box;
}

bool touches(const Region& box, const Index3& shape) {
  for (std::size_t i = 0; i < 3; ++i) {
    if (box.start[i] >= shape[i] || box.start[i] + box.size[i] <= 0) return false;
  }
  return true;
}

/// The axis of `grid` that runs most nearly along axis `axis` (0 = D, 1 = H, 2 = W) of `reference`.
int axis_along(const Geometry& reference, int axis, const Geometry& grid) {
  Eigen::Index best = 0;
  (grid.direction.transpose() * reference.direction.col(2 - axis)).cwiseAbs().maxCoeff(&best);
  return 2 - static_cast<int>(best);
}

std::string item_id(const SampleSpec& sample,
                    const Item& item,
                    const Index3& shape,
                    std::int64_t slab) {
  if (item.region == Region{{0, 0, 0}, shape} && slab == 1 && shape[0] > 1) return sample.id;
  const auto axis = static_cast<std::size_t>(item.axis);
  bool slice = item.region.size[axis] == slab;
  for (std::size_t i = 0; i < 3; ++i)
    slice = slice && (i == axis || item.region.size[i] == shape[i]);
  if (slice)
    return fmt::format("{}:axis{}:{}", sample.id, item.axis, item.region.start[axis] + slab / 2);
  return fmt::format(
      "{}:{},{},{}", sample.id, item.region.start[0], item.region.start[1], item.region.start[2]);
}

/// One item's place, and the grid that it is meant in.
struct ItemPlace {
  const Dataset& dataset;
  const Item& item;
  const SampleSpec& sample;
  const EntrySpec& reference;
  std::int64_t slab;
};

Entry read_region_of(const ItemPlace& place, const RoleBinding& role, const EntrySpec& entry) {
  if (!same_grid(entry.geometry, place.reference.geometry)) {
    throw geometry_error(
        fmt::format("sample {}: role '{}' is read at the item's region, but '{}' lies on another "
                    "grid than '{}': "
                    "expected {}, got {}",
                    place.sample.id,
                    role.role,
                    entry.name,
                    place.reference.name,
                    place.reference.geometry.text(),
                    entry.geometry.text()),
        "bind the role with the extent kWorldBox or kWhole, or resample the data to one grid");
  }
  const bool projections = entry.kind == EntryKind::kProjections;
  if (projections) return read_rows(place.dataset, place.item.sample, entry, place.item.region);
  return sliced_along(
      read_padded(place.dataset, place.item.sample, entry, place.item.region, place.slab > 1),
      place.item.axis);
}

Entry read_world_box(const ItemPlace& place, const EntrySpec& entry) {
  const Region box = world_box(place.item.region, place.reference.geometry, entry.geometry);
  if (!touches(box, entry.geometry.shape)) {
    throw geometry_error(
        fmt::format(
            "sample {}: the item's region of '{}' lies outside '{}' in the world: grid {}, and {}",
            place.sample.id,
            place.reference.name,
            entry.name,
            place.reference.geometry.text(),
            entry.geometry.text()),
        "leave the sample out, or give the entry a frame of its own and the extent kWhole");
  }
  return sliced_along(read_padded(place.dataset, place.item.sample, entry, box, place.slab > 1),
                      axis_along(place.reference.geometry, place.item.axis, entry.geometry));
}

Entry read_upsampled(const ItemPlace& place, const RoleBinding& role, const EntrySpec& entry) {
  const Geometry region =
      sliced_along(place.reference.geometry.cropped(place.item.region), place.item.axis);
  return sampled_on(place.dataset, place.item.sample, entry, finer_grid(region, role.upsampling));
}

Entry read_role(const ItemPlace& place, const RoleBinding& role, const EntrySpec& entry) {
  if (entry.kind == EntryKind::kPoints || role.extent == RoleBinding::Extent::kWhole) {
    return place.dataset.read(
        place.item.sample, entry.name, Region{{0, 0, 0}, entry.geometry.shape});
  }
  const bool box =
      role.extent == RoleBinding::Extent::kWorldBox && entry.kind != EntryKind::kProjections;
  if (box) return read_world_box(place, entry);
  const bool upsampled = role.upsampled() && entry.kind != EntryKind::kProjections;
  return upsampled ? read_upsampled(place, role, entry) : read_region_of(place, role, entry);
}

}  // namespace

std::size_t reference_role(const SampleSpec& sample, const std::vector<RoleBinding>& roles) {
  for (std::size_t i = 0; i < roles.size(); ++i) {
    const EntrySpec* spec = sample.find(roles[i].entry);
    if (spec != nullptr && spec->kind != EntryKind::kPoints) return i;
  }
  return roles.size();
}

Sample read_item(const Dataset& dataset,
                 const Item& item,
                 const std::vector<RoleBinding>& roles,
                 std::int64_t slab) {
  const SampleSpec& spec = dataset.samples().at(item.sample);
  const std::size_t reference = reference_role(spec, roles);
  Sample result;
  result.id = spec.id;
  if (reference < roles.size()) {
    result.reference = roles[reference].role;
    result.id = item_id(spec, item, spec.find(roles[reference].entry)->geometry.shape, slab);
  }
  for (const RoleBinding& role : roles) {
    const EntrySpec* entry = spec.find(role.entry);
    if (entry != nullptr) {
      const EntrySpec& carrier =
          reference < roles.size() ? *spec.find(roles[reference].entry) : *entry;
      result.entries[role.role] = read_role({dataset, item, spec, carrier, slab}, role, *entry);
    } else if (role.required) {
      throw data_error(fmt::format("sample {}: role '{}' needs entry '{}', which the sample lacks",
                                   spec.id,
                                   role.role,
                                   role.entry),
                       "leave the sample out of the split, or make the role optional");
    }
  }
  return result;
}

void keep_central_slices(Sample& sample, const std::vector<RoleBinding>& roles) {
  for (const RoleBinding& role : roles) {
    const auto found = sample.entries.find(role.role);
    if (!role.target || role.extent == RoleBinding::Extent::kWhole || found == sample.entries.end())
      continue;
    Entry& entry = found->second;
    if (entry.kind == EntryKind::kPoints || entry.kind == EntryKind::kProjections) continue;
    const Region centre{{entry.data.size(1) / 2, 0, 0},
                        {1, entry.data.size(2), entry.data.size(3)}};
    entry.data = entry.data.narrow(1, centre.start[0], 1);
    entry.geometry = entry.geometry.cropped(centre);
  }
}

}  // namespace triptych
