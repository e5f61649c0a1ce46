// SPDX-License-Identifier: Apache-2.0
#include "framework/data/batch.h"

#include "framework/core/error.h"
#include "framework/core/suggest.h"
#include "framework/data/dense.h"

#include <algorithm>
#include <numeric>
#include <sstream>

#include <ATen/ATen.h>

namespace triptych {
namespace {

std::string sizes_text(const at::Tensor& tensor) {
  std::ostringstream text;
  text << tensor.sizes();
  return text.str();
}

/// Throws unless an entry fits those already in the role.
void check_fits(const std::string& role,
                const Sample& first_sample,
                const Entry& first,
                const Sample& sample,
                const Entry& entry) {
  if (entry.kind != first.kind) {
    throw data_error(
        fmt::format("sample {}: role '{}' is of kind {}, but {} in sample {} of the same batch",
                    sample.id,
                    role,
                    kind_text(entry.kind),
                    kind_text(first.kind),
                    first_sample.id));
  }
  if (entry.modality != first.modality) {
    throw data_error(
        fmt::format(
            "sample {}: role '{}' has modality '{}', but '{}' in sample {} of the same batch",
            sample.id,
            role,
            entry.modality,
            first.modality,
            first_sample.id),
        "give each modality a task or a data set of its own");
  }
  if (entry.frame != first.frame || entry.target_frame != first.target_frame) {
    throw data_error(fmt::format(
        "sample {}: role '{}' lies in frame '{}', but '{}' in sample {} of the same batch",
        sample.id,
        role,
        entry.frame,
        first.frame,
        first_sample.id));
  }
  if (entry.kind == EntryKind::kPoints) return;
  if (entry.data.sizes() != first.data.sizes() ||
      entry.data.scalar_type() != first.data.scalar_type()) {
    throw shape_error(fmt::format("sample {}: role '{}': expected shape {} {} as in sample {} of "
                                  "the same batch, got {} {}",
                                  sample.id,
                                  role,
                                  sizes_text(first.data),
                                  c10::toString(first.data.scalar_type()),
                                  first_sample.id,
                                  sizes_text(entry.data),
                                  c10::toString(entry.data.scalar_type())),
                      "use transforms or patches that give one size, or batch_size 1");
  }
}

BatchEntry stack_role(const std::string& role, const std::vector<Sample>& samples) {
  BatchEntry result;
  std::vector<const Entry*> entries;
  const Sample* first_sample = nullptr;
  for (std::size_t n = 0; n < samples.size(); ++n) {
    const Entry* entry = samples[n].find(role);
    if (entry == nullptr) continue;
    if (first_sample == nullptr) first_sample = &samples[n];
    if (!entries.empty()) check_fits(role, *first_sample, *entries.front(), samples[n], *entry);
    entries.push_back(entry);
    result.items.push_back(static_cast<std::int64_t>(n));
    result.geometry.push_back(entry->geometry);
    if (entry->kind == EntryKind::kProjections) result.scans.push_back(entry->scan);
  }
  const Entry& first = *entries.front();
  result.kind = first.kind;
  result.modality = first.modality;
  result.frame = first.frame;
  result.target_frame = first.target_frame;
  if (first.kind == EntryKind::kPoints) {
    for (const Entry* entry : entries) result.points.push_back(entry->data);
    return result;
  }
  std::vector<std::int64_t> shape = first.data.sizes().vec();
  shape.insert(shape.begin(), static_cast<std::int64_t>(entries.size()));
  result.data = at::empty(shape, first.data.options());
  auto* destination = static_cast<std::byte*>(result.data.data_ptr());
  for (const Entry* entry : entries) {
    copy_dense(entry->data, destination);
    destination += entry->data.numel() * static_cast<std::int64_t>(entry->data.element_size());
  }
  return result;
}

/// True for 0, 1, ..., count - 1.
bool is_everything(const std::vector<std::int64_t>& places, std::size_t count) {
  return places.size() == count && std::is_sorted(places.begin(), places.end());
}

template <class T>
std::vector<T> picked(const std::vector<T>& values, const std::vector<std::int64_t>& places) {
  std::vector<T> result;
  if (values.empty()) return result;
  for (const std::int64_t place : places)
    result.push_back(values.at(static_cast<std::size_t>(place)));
  return result;
}

/// The rows of `entry` that belong to the items `chosen`, numbered by their place in it.
BatchEntry rows_of(const BatchEntry& entry, const std::vector<std::int64_t>& chosen) {
  BatchEntry result = entry;
  result.items.clear();
  std::vector<std::int64_t> places;
  for (std::size_t n = 0; n < chosen.size(); ++n) {
    const auto found = std::find(entry.items.begin(), entry.items.end(), chosen[n]);
    if (found == entry.items.end()) continue;
    places.push_back(found - entry.items.begin());
    result.items.push_back(static_cast<std::int64_t>(n));
  }
  if (is_everything(places, entry.items.size())) return result;
  if (entry.data.defined())
    result.data = entry.data.index_select(0, at::tensor(places, at::kLong).to(entry.data.device()));
  result.points = picked(entry.points, places);
  result.geometry = picked(entry.geometry, places);
  result.scans = picked(entry.scans, places);
  return result;
}

}  // namespace

at::Tensor BatchEntry::mask() const {
  if (!valid) return {};
  at::Tensor mask = at::zeros({data.size(0), 1, data.size(2), data.size(3), data.size(4)},
                              data.options().dtype(at::kBool));
  at::Tensor part = mask;
  for (int axis = 0; axis < 3; ++axis)
    part = part.narrow(2 + axis, valid->start[axis], valid->size[axis]);
  part.fill_(true);
  return mask;
}

const BatchEntry& Batch::at(const std::string& role) const {
  const auto found = entries.find(role);
  if (found != entries.end()) return found->second;
  std::vector<std::string> roles;
  for (const auto& [name, entry] : entries) roles.push_back(name);
  throw data_error(
      fmt::format(
          "batch [{}]: no item has role '{}'{}", join(ids), role, did_you_mean(role, roles)),
      "it has: " + join(roles));
}

std::vector<std::int64_t> Batch::items_with(const std::vector<std::string>& roles) const {
  std::vector<std::int64_t> result(ids.size());
  std::iota(result.begin(), result.end(), 0);
  for (const std::string& role : roles) {
    const auto found = entries.find(role);
    if (found == entries.end()) return {};
    const std::vector<std::int64_t>& with = found->second.items;
    std::erase_if(result, [&](std::int64_t n) {
      return std::find(with.begin(), with.end(), n) == with.end();
    });
  }
  return result;
}

Batch Batch::rows(const std::vector<std::int64_t>& chosen) const {
  if (is_everything(chosen, ids.size())) return *this;
  Batch result;
  result.ids = picked(ids, chosen);
  for (const auto& [role, entry] : entries) {
    BatchEntry rows = rows_of(entry, chosen);
    if (!rows.items.empty()) result.entries.emplace(role, std::move(rows));
  }
  return result;
}

Batch Batch::to(c10::Device device) const {
  Batch result = *this;
  for (auto& [role, entry] : result.entries) {
    if (entry.data.defined()) entry.data = entry.data.to(device, /*non_blocking=*/true);
    for (at::Tensor& points : entry.points) points = points.to(device, /*non_blocking=*/true);
  }
  return result;
}

Batch collate(const std::vector<Sample>& samples) {
  Batch batch;
  for (const Sample& sample : samples) {
    batch.ids.push_back(sample.id);
    for (const auto& [role, entry] : sample.entries) {
      if (!batch.has(role)) batch.entries.emplace(role, BatchEntry{});
    }
  }
  for (auto& [role, entry] : batch.entries) entry = stack_role(role, samples);
  return batch;
}

}  // namespace triptych
