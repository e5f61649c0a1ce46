// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <ATen/ops/empty.h>

#include "framework/core/error.h"
#include "framework/data/dense.h"
#include "framework/data/loader.h"

namespace triptych {
namespace {

bool has_grid(EntryKind kind) { return kind != EntryKind::kPoints && kind != EntryKind::kProjections; }

Region whole(const Geometry& geometry) { return {{0, 0, 0}, geometry.shape}; }

Region clipped(const Region& region, const Index3& shape) {
  Region result;
  for (std::size_t i = 0; i < 3; ++i) {
    const std::int64_t begin = std::clamp<std::int64_t>(region.start[i], 0, shape[i] - 1);
    const std::int64_t end = std::clamp<std::int64_t>(region.start[i] + region.size[i], begin + 1, shape[i]);
    result.start[i] = begin;
    result.size[i] = end - begin;
  }
  return result;
}

template <class T>
void fill_padded(const at::Tensor& source, at::Tensor& result, const Index3& before, bool repeat_edge, T fill) {
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

/// Reads `region`, which may stick out of the entry's grid: slabs repeat their edge slice in every entry, patches repeat
/// the edge of images and mark labels as -1 (ignore).
Entry read_padded(const Dataset& dataset, std::size_t sample, const EntrySpec& spec, const Region& region, bool slab) {
  const Region inside = clipped(region, spec.geometry.shape);
  Entry entry = dataset.read(sample, spec.name, inside);
  if (inside == region) return entry;
  const Index3 before{inside.start[0] - region.start[0], inside.start[1] - region.start[1], inside.start[2] - region.start[2]};
  const bool label = entry.kind == EntryKind::kLabel;
  const at::Tensor source = label ? dense_int64(entry.data) : dense_float(entry.data);
  at::Tensor result = at::empty({source.size(0), region.size[0], region.size[1], region.size[2]}, source.options());
  if (label) {
    fill_padded<std::int64_t>(source, result, before, slab, -1);
  } else {
    fill_padded<float>(source, result, before, true, 0.0F);
  }
  entry.data = result;
  entry.geometry = entry.geometry.cropped({{-before[0], -before[1], -before[2]}, region.size});
  return entry;
}

std::string item_id(const SampleSpec& sample, const Item& item, const Index3& shape, std::int64_t slab) {
  if (item.region == Region{{0, 0, 0}, shape} && slab == 1 && shape[0] > 1) return sample.id;
  const auto axis = static_cast<std::size_t>(item.axis);
  bool slice = item.region.size[axis] == slab;
  for (std::size_t i = 0; i < 3; ++i) slice = slice && (i == axis || item.region.size[i] == shape[i]);
  if (slice) return fmt::format("{}:axis{}:{}", sample.id, item.axis, item.region.start[axis] + slab / 2);
  return fmt::format("{}:{},{},{}", sample.id, item.region.start[0], item.region.start[1], item.region.start[2]);
}

/// The first role whose entry has a grid; the item's region is meant in it.
const EntrySpec* reference_entry(const SampleSpec& sample, const std::vector<RoleBinding>& roles) {
  for (const RoleBinding& role : roles) {
    const EntrySpec* spec = sample.find(role.entry);
    if (spec != nullptr && has_grid(spec->kind)) return spec;
  }
  return nullptr;
}

}  // namespace

Sample read_item(const Dataset& dataset, const Item& item, const std::vector<RoleBinding>& roles, std::int64_t slab) {
  const SampleSpec& spec = dataset.samples().at(item.sample);
  const EntrySpec* reference = reference_entry(spec, roles);
  Sample result;
  result.id = reference == nullptr ? spec.id : item_id(spec, item, reference->geometry.shape, slab);
  const bool partial = reference != nullptr && !(item.region == whole(reference->geometry));
  for (const RoleBinding& role : roles) {
    const EntrySpec* entry = spec.find(role.entry);
    if (entry == nullptr) {
      if (!role.required) continue;
      throw data_error(fmt::format("sample {}: role '{}' needs entry '{}', which the sample lacks", spec.id, role.role, role.entry),
                       "leave the sample out of the split, or make the role optional");
    }
    if (!has_grid(entry->kind)) {
      result.entries[role.role] = dataset.read(item.sample, entry->name, whole(entry->geometry));
      continue;
    }
    const bool same = same_grid(entry->geometry, reference->geometry);
    if (!same && partial && entry->frame == reference->frame) {
      check_same_grid(reference->geometry, fmt::format("sample {}: '{}'", spec.id, reference->name), entry->geometry,
                      "'" + entry->name + "'");
    }
    // Another frame (the moving image of a pair) has a grid of its own, in which the region means nothing.
    Entry read = same ? read_padded(dataset, item.sample, *entry, item.region, slab > 1)
                      : dataset.read(item.sample, entry->name, whole(entry->geometry));
    result.entries[role.role] = sliced_along(read, same ? item.axis : 0);
  }
  return result;
}

}  // namespace triptych
