// SPDX-License-Identifier: Apache-2.0
#include "framework/data/batch.h"

#include <sstream>

#include <ATen/ops/empty.h>

#include "framework/core/error.h"
#include "framework/core/suggest.h"
#include "framework/data/dense.h"

namespace triptych {
namespace {

std::string sizes_text(const at::Tensor& tensor) {
  std::ostringstream text;
  text << tensor.sizes();
  return text.str();
}

/// Throws unless an entry fits those already in the role.
void check_fits(const std::string& role, const Sample& first_sample, const Entry& first, const Sample& sample, const Entry& entry) {
  if (entry.kind != first.kind) {
    throw data_error(fmt::format("sample {}: role '{}' is of kind {}, but {} in sample {} of the same batch", sample.id, role,
                                 kind_text(entry.kind), kind_text(first.kind), first_sample.id));
  }
  if (entry.modality != first.modality) {
    throw data_error(fmt::format("sample {}: role '{}' has modality '{}', but '{}' in sample {} of the same batch", sample.id,
                                 role, entry.modality, first.modality, first_sample.id),
                     "give each modality a task or a data set of its own");
  }
  if (entry.frame != first.frame || entry.target_frame != first.target_frame) {
    throw data_error(fmt::format("sample {}: role '{}' lies in frame '{}', but '{}' in sample {} of the same batch", sample.id,
                                 role, entry.frame, first.frame, first_sample.id));
  }
  if (entry.kind == EntryKind::kPoints) return;
  if (entry.data.sizes() != first.data.sizes() || entry.data.scalar_type() != first.data.scalar_type()) {
    throw shape_error(fmt::format("sample {}: role '{}': expected shape {} {} as in sample {} of the same batch, got {} {}",
                                  sample.id, role, sizes_text(first.data), c10::toString(first.data.scalar_type()),
                                  first_sample.id, sizes_text(entry.data), c10::toString(entry.data.scalar_type())),
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

}  // namespace

const BatchEntry& Batch::at(const std::string& role) const {
  const auto found = entries.find(role);
  if (found != entries.end()) return found->second;
  std::vector<std::string> roles;
  for (const auto& [name, entry] : entries) roles.push_back(name);
  throw data_error(fmt::format("batch [{}]: no item has role '{}'{}", join(ids), role, did_you_mean(role, roles)),
                   "it has: " + join(roles));
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
