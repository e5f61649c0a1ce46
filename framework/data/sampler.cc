// SPDX-License-Identifier: Apache-2.0
#include "framework/data/sampler.h"

#include "framework/core/error.h"
#include "framework/core/random.h"
#include "framework/core/suggest.h"
#include "framework/data/epoch_order.h"
#include "framework/data/label_scan.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

namespace triptych {
namespace {

constexpr std::size_t kVoxelsPerClass = 2000;

using ClassVoxels =
    std::vector<std::pair<std::size_t, std::vector<Index3>>>;  ///< sample, positions

struct SliceRef {
  std::size_t sample;  ///< place in the sampler's list of samples
  int axis;
  std::int64_t slice;
};

/// Items that share batches.
struct Pool {
  std::vector<std::size_t>
      training;  ///< items of an epoch: places in the list of slices, or of samples
  std::vector<std::vector<std::size_t>>
      class_slices;  ///< for each class that occurs: places in the list of slices
  std::vector<ClassVoxels> class_voxels;

  std::int64_t size() const { return static_cast<std::int64_t>(training.size()); }
  bool has_classes() const { return !class_slices.empty() || !class_voxels.empty(); }
};

/// Class-balanced draws before `draw`; they are spread evenly, so that this is known without
/// counting.
std::int64_t balanced_before(std::int64_t draw, double fraction) {
  return static_cast<std::int64_t>(std::floor(static_cast<double>(draw) * fraction));
}

}  // namespace

struct Sampler::Index {
  std::shared_ptr<const Dataset> dataset;
  std::vector<std::size_t> samples;
  std::vector<Index3> shapes;  ///< of the image of each sample
  SamplingConfig config;
  std::uint64_t seed = 0;

  std::vector<SliceRef> slices;  ///< every slice
  std::vector<Pool> pools;

  void list_slices(Pool& all);
  void list_patches(Pool& all) const;
  void apply_labels(const std::vector<LabelSummary>& labels, Pool& all) const;
  void split(Pool all, const StackKey& stack);

  Region slice_region(const SliceRef& ref) const;
  Index3 patch_counts(std::size_t sample) const;
  Region patch_at(std::size_t sample, const Index3& corner) const;
  Item plain(std::size_t entry, RandomStream& random) const;
  Item balanced(const Pool& pool, RandomStream& random) const;
  std::vector<Item> one_pool_items(std::int64_t step, std::int64_t batch_size) const;
  std::vector<Item> pooled_items(std::int64_t step, std::int64_t batch_size) const;
};

void Sampler::Index::list_slices(Pool& all) {
  for (std::size_t s = 0; s < samples.size(); ++s) {
    bool any = false;
    for (const std::int64_t axis : config.axes) {
      const Index3& shape = shapes[s];
      const auto a = static_cast<std::size_t>(axis);
      // A 2D image has one slice; cut along its other axes it would give lines.
      if (shape[0] == 1 && axis != 0) continue;
      any = true;
      for (std::int64_t i = 0; i < shape[a]; ++i) slices.push_back({s, static_cast<int>(axis), i});
    }
    if (!any) {
      throw data_error(fmt::format("sample {}: a 2D image has slices along axis 0 only",
                                   dataset->samples()[samples[s]].id),
                       "add 0 to sampling.axes");
    }
  }
  all.training.resize(slices.size());
  std::iota(all.training.begin(), all.training.end(), 0);
}

void Sampler::Index::list_patches(Pool& all) const {
  // A sample appears as often as disjoint patches would fill it, so that large samples are not seen
  // less per voxel.
  for (std::size_t s = 0; s < samples.size(); ++s) {
    const Index3 counts = config.items == "patches" ? patch_counts(s) : Index3{1, 1, 1};
    all.training.insert(
        all.training.end(), static_cast<std::size_t>(counts[0] * counts[1] * counts[2]), s);
  }
}

void Sampler::Index::apply_labels(const std::vector<LabelSummary>& labels, Pool& all) const {
  const auto classes = static_cast<std::size_t>(dataset->classes().size());
  if (config.items == "slices") {
    std::vector<std::size_t> kept;
    std::vector<std::vector<std::size_t>> of_class(classes);
    for (std::size_t i = 0; i < slices.size(); ++i) {
      const SliceRef& ref = slices[i];
      const auto axis = static_cast<std::size_t>(ref.axis);
      const LabelSummary& label = labels[ref.sample];
      const Index3& shape = shapes[ref.sample];
      if (label.voxels.empty()) {  // without a label: nothing to judge by
        kept.push_back(i);
        continue;
      }
      const double voxels =
          static_cast<double>(shape[0] * shape[1] * shape[2]) / static_cast<double>(shape[axis]);
      const auto foreground =
          static_cast<double>(label.foreground[axis][static_cast<std::size_t>(ref.slice)]);
      if (foreground >= config.min_foreground * voxels) kept.push_back(i);
      for (std::size_t c = 1; c < classes; ++c) {
        if (label.present[axis][static_cast<std::size_t>(ref.slice) * classes + c] != 0)
          of_class[c].push_back(i);
      }
    }
    all.training = std::move(kept);
    std::erase_if(of_class, [](const auto& places) { return places.empty(); });
    all.class_slices = std::move(of_class);
  } else {
    for (std::size_t c = 1; c < classes; ++c) {
      ClassVoxels found;
      for (std::size_t s = 0; s < labels.size(); ++s) {
        if (!labels[s].voxels.empty() && !labels[s].voxels[c].empty())
          found.emplace_back(s, labels[s].voxels[c]);
      }
      if (!found.empty()) all.class_voxels.push_back(std::move(found));
    }
  }
  if (config.class_balanced > 0.0 && !all.has_classes()) {
    throw data_error("class-balanced sampling: the labels of the split hold background only",
                     "set sampling.class_balanced to 0");
  }
}

void Sampler::Index::split(Pool all, const StackKey& stack) {
  std::map<std::string, std::size_t> pool_of_key;
  std::map<std::pair<std::size_t, int>, std::size_t> pool_of_place;  // by sample and axis
  const auto pool_at = [&](std::size_t sample, int axis, const Region& region) {
    const auto [place, added] = pool_of_place.emplace(std::pair(sample, axis), 0);
    if (!added) return place->second;
    Index3 size;
    for (std::size_t i = 0; i < 3; ++i)
      size[i] = region.size[static_cast<std::size_t>(kSliceOrder[axis][i])];
    const std::string key = stack ? stack(dataset->samples()[samples[sample]], size) : "";
    place->second = pool_of_key.emplace(key, pools.size()).first->second;
    if (place->second == pools.size()) pools.emplace_back();
    return place->second;
  };
  const auto pool_of = [&](std::size_t entry) {
    if (config.items == "slices")
      return pool_at(slices[entry].sample, slices[entry].axis, slice_region(slices[entry]));
    return pool_at(
        entry,
        0,
        config.items == "volumes" ? Region{{0, 0, 0}, shapes[entry]} : patch_at(entry, {0, 0, 0}));
  };
  for (const std::size_t entry : all.training) pools[pool_of(entry)].training.push_back(entry);
  for (const std::vector<std::size_t>& places : all.class_slices) {
    std::map<std::size_t, std::vector<std::size_t>> parts;
    for (const std::size_t entry : places) parts[pool_of(entry)].push_back(entry);
    for (auto& [pool, part] : parts) pools[pool].class_slices.push_back(std::move(part));
  }
  for (const ClassVoxels& places : all.class_voxels) {
    std::map<std::size_t, ClassVoxels> parts;
    for (const auto& found : places) parts[pool_of(found.first)].push_back(found);
    for (auto& [pool, part] : parts) pools[pool].class_voxels.push_back(std::move(part));
  }
  std::erase_if(pools, [](const Pool& pool) { return pool.training.empty(); });
}

Region Sampler::Index::slice_region(const SliceRef& ref) const {
  Region region{{0, 0, 0}, shapes[ref.sample]};
  const auto axis = static_cast<std::size_t>(ref.axis);
  region.start[axis] = ref.slice - config.slab / 2;
  region.size[axis] = config.slab;
  return region;
}

Index3 Sampler::Index::patch_counts(std::size_t sample) const {
  Index3 counts;
  for (std::size_t i = 0; i < 3; ++i)
    counts[i] = (shapes[sample][i] + config.patch[i] - 1) / config.patch[i];
  return counts;
}

Region Sampler::Index::patch_at(std::size_t sample, const Index3& corner) const {
  Region region{corner, {config.patch[0], config.patch[1], config.patch[2]}};
  for (std::size_t i = 0; i < 3; ++i) {
    const std::int64_t room = shapes[sample][i] - config.patch[i];
    // A volume smaller than the patch lies in its middle; the rest is padding when it is read.
    region.start[i] = room >= 0 ? std::clamp<std::int64_t>(corner[i], 0, room) : -((-room) / 2);
  }
  return region;
}

Item Sampler::Index::plain(std::size_t entry, RandomStream& random) const {
  if (config.items == "slices") {
    const SliceRef& ref = slices[entry];
    return {samples[ref.sample], slice_region(ref), ref.axis, 0};
  }
  const Index3& shape = shapes[entry];
  if (config.items == "volumes") return {samples[entry], Region{{0, 0, 0}, shape}, 0, 0};
  Index3 corner{0, 0, 0};
  for (std::size_t i = 0; i < 3; ++i)
    corner[i] = random.integer(std::max<std::int64_t>(1, shape[i] - config.patch[i] + 1));
  return {samples[entry], patch_at(entry, corner), 0, 0};
}

Item Sampler::Index::balanced(const Pool& pool, RandomStream& random) const {
  const auto pick = [&random](const auto& list) -> const auto& {
    return list[static_cast<std::size_t>(random.integer(static_cast<std::int64_t>(list.size())))];
  };
  if (config.items == "slices") return plain(pick(pick(pool.class_slices)), random);
  const auto& [sample, voxels] = pick(pick(pool.class_voxels));
  if (config.items == "volumes") return plain(sample, random);
  Index3 corner = pick(voxels);
  for (std::size_t i = 0; i < 3; ++i) corner[i] -= config.patch[i] / 2;
  return {samples[sample], patch_at(sample, corner), 0, 0};
}

std::vector<Item> Sampler::Index::one_pool_items(std::int64_t step, std::int64_t batch_size) const {
  const Pool& pool = pools.front();
  std::vector<Item> items;
  std::int64_t epoch = -1;
  std::unique_ptr<EpochOrder> order;
  for (std::int64_t draw = step * batch_size; draw < (step + 1) * batch_size; ++draw) {
    RandomStream random(seed, {hash_name("item"), static_cast<std::uint64_t>(draw)});
    const std::int64_t before = balanced_before(draw, config.class_balanced);
    if (balanced_before(draw + 1, config.class_balanced) > before) {
      items.push_back(balanced(pool, random));
    } else {
      const std::int64_t place = draw - before;
      if (place / pool.size() != epoch) {
        epoch = place / pool.size();
        order = std::make_unique<EpochOrder>(pool.size(), seed, epoch);
      }
      items.push_back(
          plain(pool.training[static_cast<std::size_t>((*order)[place % pool.size()])], random));
    }
    items.back().draw = static_cast<std::uint64_t>(draw);
  }
  return items;
}

std::vector<Item> Sampler::Index::pooled_items(std::int64_t step, std::int64_t batch_size) const {
  const auto batches_of = [&](const Pool& pool) {
    return (pool.size() + batch_size - 1) / batch_size;
  };
  std::int64_t batches = 0;
  for (const Pool& pool : pools) batches += batches_of(pool);
  const std::int64_t epoch = step / batches;
  std::int64_t batch =
      EpochOrder(batches, mix_keys(seed, {hash_name("batches")}), epoch)[step % batches];
  std::size_t p = 0;
  for (; batch >= batches_of(pools[p]); ++p) batch -= batches_of(pools[p]);
  const Pool& pool = pools[p];
  const EpochOrder order(pool.size(), mix_keys(seed, {hash_name("pool"), p}), epoch);
  std::vector<Item> items;
  for (std::int64_t i = 0; i < batch_size; ++i) {
    const std::int64_t draw = step * batch_size + i;
    RandomStream random(seed, {hash_name("item"), static_cast<std::uint64_t>(draw)});
    const bool wanted = balanced_before(draw + 1, config.class_balanced) >
                        balanced_before(draw, config.class_balanced);
    const std::int64_t place = order[(batch * batch_size + i) % pool.size()];
    items.push_back(wanted && pool.has_classes()
                        ? balanced(pool, random)
                        : plain(pool.training[static_cast<std::size_t>(place)], random));
    items.back().draw = static_cast<std::uint64_t>(draw);
  }
  return items;
}

Sampler::Sampler(std::shared_ptr<const Dataset> dataset,
                 std::vector<std::size_t> samples,
                 SamplingConfig config,
                 std::string reference,
                 std::string label,
                 std::uint64_t seed,
                 const StackKey& stack) {
  config.check(label);
  if (samples.empty())
    throw data_error("sampler: the split has no samples",
                     "check `train`, `validation` and `test` of the data set");
  auto index = std::make_shared<Index>();
  for (const std::size_t sample : samples) {
    const SampleSpec& spec = dataset->samples().at(sample);
    const EntrySpec* entry = spec.find(reference);
    if (entry == nullptr) {
      std::vector<std::string> names;
      for (const EntrySpec& known : spec.entries) names.push_back(known.name);
      throw data_error(
          fmt::format(
              "sample {}: no entry '{}'{}", spec.id, reference, did_you_mean(reference, names)),
          "it has: " + join(names));
    }
    const EntrySpec* target = label.empty() ? nullptr : spec.find(label);
    if (target != nullptr) {
      check_same_grid(entry->geometry,
                      fmt::format("sample {}: '{}'", spec.id, reference),
                      target->geometry,
                      "'" + label + "'");
    }
    index->shapes.push_back(entry->geometry.shape);
  }
  index->dataset = dataset;
  index->samples = std::move(samples);
  index->config = config;
  index->seed = seed;
  Pool all;
  if (config.items == "slices") {
    index->list_slices(all);
  } else {
    index->list_patches(all);
  }
  if (config.class_balanced > 0.0 || (config.min_foreground > 0.0 && config.items == "slices")) {
    const std::size_t voxels = config.items == "slices" ? 1 : kVoxelsPerClass;
    index->apply_labels(scan_labels(*dataset, index->samples, label, voxels, seed), all);
  }
  if (all.training.empty()) {
    throw data_error(
        fmt::format("sampler: no slice has a foreground fraction of {}", config.min_foreground),
        "lower sampling.min_foreground");
  }
  index->split(std::move(all), stack);
  index_ = std::move(index);
}

std::int64_t Sampler::size() const {
  std::int64_t size = 0;
  for (const Pool& pool : index_->pools) size += pool.size();
  return size;
}

std::vector<Item> Sampler::step_items(std::int64_t step, std::int64_t batch_size) const {
  TRIPTYCH_ASSERT(step >= 0 && batch_size >= 1);
  return index_->pools.size() == 1 ? index_->one_pool_items(step, batch_size)
                                   : index_->pooled_items(step, batch_size);
}

std::vector<Item> Sampler::all_items(std::int64_t limit) const {
  const Index& index = *index_;
  std::vector<Item> items;
  if (index.config.items == "slices") {
    for (const SliceRef& ref : index.slices)
      items.push_back({index.samples[ref.sample], index.slice_region(ref), ref.axis, 0});
  } else {
    const bool patches = index.config.items == "patches";
    for (std::size_t s = 0; s < index.samples.size(); ++s) {
      if (!patches) {
        items.push_back({index.samples[s], Region{{0, 0, 0}, index.shapes[s]}, 0, 0});
        continue;
      }
      const Index3 counts = index.patch_counts(s);
      const auto& patch = index.config.patch;
      for (std::int64_t d = 0; d < counts[0]; ++d) {
        for (std::int64_t h = 0; h < counts[1]; ++h) {
          for (std::int64_t w = 0; w < counts[2]; ++w) {
            items.push_back({index.samples[s],
                             index.patch_at(s, {d * patch[0], h * patch[1], w * patch[2]}),
                             0,
                             0});
          }
        }
      }
    }
  }
  const auto count = static_cast<std::int64_t>(items.size());
  if (limit > 0 && limit < count) {
    std::vector<Item> spread;
    for (std::int64_t i = 0; i < limit; ++i)
      spread.push_back(items[static_cast<std::size_t>((2 * i + 1) * count / (2 * limit))]);
    items = std::move(spread);
  }
  for (std::size_t i = 0; i < items.size(); ++i) items[i].draw = i;
  return items;
}

}  // namespace triptych
