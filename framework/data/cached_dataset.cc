// SPDX-License-Identifier: Apache-2.0
#include "framework/data/cached_dataset.h"

#include "framework/core/error.h"
#include "framework/data/dense.h"

#include <future>
#include <map>
#include <mutex>
#include <utility>

#include <ATen/ops/empty.h>

namespace triptych {
namespace {

constexpr std::int64_t kSmallTable = 127;  ///< class indices up to here, and -1, fit in one byte

/// The same labels in one byte each.
at::Tensor packed_labels(const at::Tensor& labels) {
  const at::Tensor source = dense_int64(labels);
  at::Tensor result = at::empty(source.sizes(), source.options().dtype(at::kChar));
  const std::int64_t* from = source.data_ptr<std::int64_t>();
  std::int8_t* to = result.data_ptr<std::int8_t>();
  for (std::int64_t i = 0; i < source.numel(); ++i) {
    TRIPTYCH_ASSERT(from[i] >= -1 && from[i] <= kSmallTable);
    to[i] = static_cast<std::int8_t>(from[i]);
  }
  return result;
}

Entry region_of(const Entry& whole, const Region& region) {
  if (whole.kind == EntryKind::kPoints) return whole;
  if (whole.kind == EntryKind::kProjections) return detector_rows(whole, region);
  Entry result = whole;
  for (std::size_t i = 0; i < 3; ++i) {
    result.data =
        result.data.narrow(static_cast<std::int64_t>(i) + 1, region.start[i], region.size[i]);
  }
  if (whole.kind == EntryKind::kLabel) result.data = dense_int64(result.data);
  result.geometry = whole.geometry.cropped(region);
  return result;
}

}  // namespace

struct CachedDataset::State {
  using Key = std::pair<std::size_t, std::string>;

  mutable std::mutex mutex;
  std::int64_t bytes_left;
  std::int64_t bytes_used = 0;
  std::map<Key, std::shared_future<Entry>> entries;
};

CachedDataset::CachedDataset(std::shared_ptr<const Dataset> source, std::int64_t bytes)
    : source_(std::move(source)), state_(std::make_unique<State>()) {
  state_->bytes_left = bytes;
}

CachedDataset::~CachedDataset() = default;

std::int64_t CachedDataset::bytes_used() const {
  const std::scoped_lock lock(state_->mutex);
  return state_->bytes_used;
}

Entry CachedDataset::read(std::size_t sample,
                          const std::string& entry,
                          const Region& region) const {
  const EntrySpec* spec = samples().at(sample).find(entry);
  if (spec == nullptr) return source_->read(sample, entry, region);  // for its message
  const bool grid = spec->kind != EntryKind::kPoints && spec->kind != EntryKind::kProjections;
  const bool packed = spec->kind == EntryKind::kLabel && classes().size() <= kSmallTable;
  const std::int64_t voxel_bytes = spec->kind != EntryKind::kLabel ? 4 : packed ? 1 : 8;
  // What points and projections take is known only once they are read; points are small.
  const std::int64_t bytes = grid ? spec->geometry.voxels() * spec->channels * voxel_bytes : 0;

  const State::Key key{sample, entry};
  std::promise<Entry> promise;
  std::shared_future<Entry> known;
  bool fits = false;
  {
    const std::scoped_lock lock(state_->mutex);
    const auto found = state_->entries.find(key);
    fits = found != state_->entries.end() || bytes <= state_->bytes_left;
    if (found != state_->entries.end()) {
      known = found->second;
    } else if (fits) {
      state_->bytes_left -= bytes;
      state_->bytes_used += bytes;
      state_->entries.emplace(key, promise.get_future().share());
    }
  }
  if (!fits) return source_->read(sample, entry, region);
  if (known.valid()) return region_of(known.get(), region);
  Entry whole;
  try {
    whole = source_->read(sample, entry, Region{{0, 0, 0}, spec->geometry.shape});
    if (grid) whole.data = packed ? packed_labels(whole.data) : dense(whole.data);
  } catch (...) {
    promise.set_exception(std::current_exception());
    const std::scoped_lock lock(state_->mutex);
    state_->entries.erase(key);
    state_->bytes_left += bytes;
    state_->bytes_used -= bytes;
    throw;
  }
  promise.set_value(whole);
  return region_of(whole, region);
}

}  // namespace triptych
