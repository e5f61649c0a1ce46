// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/data/dataset.h"
#include "framework/data/sampling_config.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace triptych {

/// A place in a data set: what to read and how to cut it.
struct Item {
  std::size_t sample = 0;  ///< index into Dataset::samples()
  Region
      region;    ///< in the entry's own axes [D, H, W]; a slab that sticks out is clamped when read
  int axis = 0;  ///< slicing axis; the read entry is passed through sliced_along
  std::uint64_t draw =
      0;  ///< global number of the draw; with seed it names the item's random stream
};

/// Names what the items of one batch must have in common; `item_size` [D, H, W] as read, slicing
/// axis first.
using StackKey = std::function<std::string(const SampleSpec& sample, const Index3& item_size)>;

/// Draws items. Stateless: the items of a global step depend on (seed, step, batch size) alone, so
/// resuming needs only the step, and each of several ranks can take its slice of the same global
/// batch.
///
/// Where `stack` tells items apart (slices of a volume with unequal sides, several modalities),
/// every batch holds items of one key: an epoch is a random order of all keys' batches, and the
/// last batch of a key starts its items again.
class Sampler {
 public:
  /// `reference` names the entry whose grid regions are meant in; `label` may be "" (then class
  /// balancing is refused). `samples` are the split's indices. Without `stack` any items share a
  /// batch.
  Sampler(std::shared_ptr<const Dataset> dataset,
          std::vector<std::size_t> samples,
          SamplingConfig config,
          std::string reference,
          std::string label,
          std::uint64_t seed,
          const StackKey& stack = {});

  /// Items of training step `step` (0-based), `batch_size` of them; every item once before any item
  /// twice (an epoch), except for the class-balanced fraction.
  std::vector<Item> step_items(std::int64_t step, std::int64_t batch_size) const;
  /// All items in fixed order, for validation; at most `limit` evenly spread ones when limit > 0.
  std::vector<Item> all_items(std::int64_t limit = 0) const;
  /// Items of an epoch.
  std::int64_t size() const;

 private:
  struct Index;
  std::shared_ptr<const Index> index_;
};

}  // namespace triptych
