// SPDX-License-Identifier: Apache-2.0
#include "framework/data/sampler.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

#include "framework/core/error.h"
#include "framework/core/random.h"
#include "framework/core/suggest.h"
#include "framework/data/label_scan.h"

namespace triptych {
namespace {

constexpr std::size_t kVoxelsPerClass = 2000;

/// A random order of 0 .. count - 1 that is computed place by place, so that nothing has to be remembered between steps.
class EpochOrder {
 public:
  EpochOrder(std::int64_t count, std::uint64_t seed, std::int64_t epoch)
      : count_(count), key_(mix_keys(seed, {hash_name("epoch"), static_cast<std::uint64_t>(epoch)})) {
    if (count > kListed) {
      half_bits_ = (std::bit_width(static_cast<std::uint64_t>(count - 1)) + 1) / 2;
      return;
    }
    order_.resize(static_cast<std::size_t>(count));
    std::iota(order_.begin(), order_.end(), 0);
    RandomStream random(key_);
    for (std::int64_t i = count - 1; i > 0; --i) {  // Fisher-Yates
      std::swap(order_[static_cast<std::size_t>(i)], order_[static_cast<std::size_t>(random.integer(i + 1))]);
    }
  }

  std::int64_t operator[](std::int64_t place) const {
    if (!order_.empty()) return order_[static_cast<std::size_t>(place)];
    // A Feistel network permutes a power of four; walking along its cycles until an element below `count` is met
    // permutes 0 .. count - 1 (Black and Rogaway, 2002).
    auto value = static_cast<std::uint64_t>(place);
    do {
      value = feistel(value);
    } while (value >= static_cast<std::uint64_t>(count_));
    return static_cast<std::int64_t>(value);
  }

 private:
  static constexpr std::int64_t kListed = 4096;  ///< small orders are shuffled outright: Feistel networks mix them poorly

  std::uint64_t feistel(std::uint64_t value) const {
    const std::uint64_t mask = (std::uint64_t{1} << half_bits_) - 1;
    std::uint64_t left = value >> half_bits_;
    std::uint64_t right = value & mask;
    for (std::uint64_t round = 0; round < 6; ++round) {
      const std::uint64_t mixed = left ^ (mix_keys(key_, {round, right}) & mask);
      left = right;
      right = mixed;
    }
    return left << half_bits_ | right;
  }

  std::int64_t count_;
  std::uint64_t key_;
  int half_bits_ = 0;
  std::vector<std::int64_t> order_;
};

struct SliceRef {
  std::size_t sample;  ///< place in the sampler's list of samples
  int axis;
  std::int64_t slice;
};

void check_config(const SamplingConfig& config, const std::string& label) {
  const auto fail = [](const std::string& message, const std::string& hint) { throw ConfigError("schema", message, hint); };
  if (config.axes.empty()) fail("sampling.axes: expected at least one axis", "axes: [0, 1, 2]");
  if (config.slab % 2 == 0) {
    fail(fmt::format("sampling.slab: expected an odd number of slices, got {}", config.slab), "the middle slice is the item");
  }
  if (config.slab > 1 && config.items != "slices") {
    fail(fmt::format("sampling.slab: expected 1 with items: {}, got {}", config.items, config.slab), "slabs are made of slices");
  }
  if ((config.class_balanced > 0.0 || config.min_foreground > 0.0) && label.empty()) {
    fail("sampling: class_balanced and min_foreground need a label entry", "set both to 0");
  }
}

}  // namespace

struct Sampler::Index {
  std::shared_ptr<const Dataset> dataset;
  std::vector<std::size_t> samples;
  std::vector<Index3> shapes;  ///< of the image of each sample
  SamplingConfig config;
  std::uint64_t seed = 0;

  std::vector<SliceRef> slices;                        ///< every slice
  std::vector<std::size_t> training;                   ///< items of an epoch: places in `slices`, or in `samples`
  std::vector<std::vector<std::size_t>> class_slices;  ///< for each class that occurs: places in `slices`
  std::vector<std::vector<std::pair<std::size_t, std::vector<Index3>>>> class_voxels;  ///< per class: sample, positions

  void list_slices();
  void list_patches();
  void apply_labels(const std::vector<LabelSummary>& labels);

  Region slice_region(const SliceRef& ref) const;
  Index3 patch_counts(std::size_t sample) const;
  Region patch_at(std::size_t sample, const Index3& corner) const;
  Item plain(std::size_t entry, RandomStream& random) const;
  Item balanced(RandomStream& random) const;
};

void Sampler::Index::list_slices() {
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
      throw data_error(fmt::format("sample {}: a 2D image has slices along axis 0 only", dataset->samples()[samples[s]].id),
                       "add 0 to sampling.axes");
    }
  }
  training.resize(slices.size());
  std::iota(training.begin(), training.end(), 0);
}

void Sampler::Index::list_patches() {
  // A sample appears as often as disjoint patches would fill it, so that large samples are not seen less per voxel.
  for (std::size_t s = 0; s < samples.size(); ++s) {
    const Index3 counts = config.items == "patches" ? patch_counts(s) : Index3{1, 1, 1};
    training.insert(training.end(), static_cast<std::size_t>(counts[0] * counts[1] * counts[2]), s);
  }
}

void Sampler::Index::apply_labels(const std::vector<LabelSummary>& labels) {
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
      const double voxels = static_cast<double>(shape[0] * shape[1] * shape[2]) / static_cast<double>(shape[axis]);
      const auto foreground = static_cast<double>(label.foreground[axis][static_cast<std::size_t>(ref.slice)]);
      if (foreground >= config.min_foreground * voxels) kept.push_back(i);
      for (std::size_t c = 1; c < classes; ++c) {
        if (label.present[axis][static_cast<std::size_t>(ref.slice) * classes + c] != 0) of_class[c].push_back(i);
      }
    }
    training = std::move(kept);
    std::erase_if(of_class, [](const auto& places) { return places.empty(); });
    class_slices = std::move(of_class);
  } else {
    for (std::size_t c = 1; c < classes; ++c) {
      std::vector<std::pair<std::size_t, std::vector<Index3>>> found;
      for (std::size_t s = 0; s < labels.size(); ++s) {
        if (!labels[s].voxels.empty() && !labels[s].voxels[c].empty()) found.emplace_back(s, labels[s].voxels[c]);
      }
      if (!found.empty()) class_voxels.push_back(std::move(found));
    }
  }
  if (config.class_balanced > 0.0 && class_slices.empty() && class_voxels.empty()) {
    throw data_error("class-balanced sampling: the labels of the split hold background only", "set sampling.class_balanced to 0");
  }
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
  for (std::size_t i = 0; i < 3; ++i) counts[i] = (shapes[sample][i] + config.patch[i] - 1) / config.patch[i];
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
  for (std::size_t i = 0; i < 3; ++i) corner[i] = random.integer(std::max<std::int64_t>(1, shape[i] - config.patch[i] + 1));
  return {samples[entry], patch_at(entry, corner), 0, 0};
}

Item Sampler::Index::balanced(RandomStream& random) const {
  const auto pick = [&random](const auto& list) -> const auto& {
    return list[static_cast<std::size_t>(random.integer(static_cast<std::int64_t>(list.size())))];
  };
  if (config.items == "slices") return plain(pick(pick(class_slices)), random);
  const auto& [sample, voxels] = pick(pick(class_voxels));
  if (config.items == "volumes") return plain(sample, random);
  Index3 corner = pick(voxels);
  for (std::size_t i = 0; i < 3; ++i) corner[i] -= config.patch[i] / 2;
  return {samples[sample], patch_at(sample, corner), 0, 0};
}

Sampler::Sampler(std::shared_ptr<const Dataset> dataset,
                 std::vector<std::size_t> samples,
                 SamplingConfig config,
                 std::string image,
                 std::string label,
                 std::uint64_t seed) {
  check_config(config, label);
  if (samples.empty()) throw data_error("sampler: the split has no samples", "check `train`, `validation` and `test` of the data set");
  auto index = std::make_shared<Index>();
  for (const std::size_t sample : samples) {
    const SampleSpec& spec = dataset->samples().at(sample);
    const EntrySpec* entry = spec.find(image);
    if (entry == nullptr) {
      std::vector<std::string> names;
      for (const EntrySpec& known : spec.entries) names.push_back(known.name);
      throw data_error(fmt::format("sample {}: no entry '{}'{}", spec.id, image, did_you_mean(image, names)),
                       "it has: " + join(names));
    }
    const EntrySpec* target = label.empty() ? nullptr : spec.find(label);
    if (target != nullptr) {
      check_same_grid(entry->geometry, fmt::format("sample {}: '{}'", spec.id, image), target->geometry, "'" + label + "'");
    }
    index->shapes.push_back(entry->geometry.shape);
  }
  index->dataset = dataset;
  index->samples = std::move(samples);
  index->config = config;
  index->seed = seed;
  if (config.items == "slices") {
    index->list_slices();
  } else {
    index->list_patches();
  }
  if (config.class_balanced > 0.0 || (config.min_foreground > 0.0 && config.items == "slices")) {
    const std::size_t voxels = config.items == "slices" ? 1 : kVoxelsPerClass;
    index->apply_labels(scan_labels(*dataset, index->samples, label, voxels, seed));
  }
  if (index->training.empty()) {
    throw data_error(fmt::format("sampler: no slice has a foreground fraction of {}", config.min_foreground),
                     "lower sampling.min_foreground");
  }
  index_ = std::move(index);
}

std::int64_t Sampler::size() const { return static_cast<std::int64_t>(index_->training.size()); }

std::vector<Item> Sampler::step_items(std::int64_t step, std::int64_t batch_size) const {
  TRIPTYCH_ASSERT(step >= 0 && batch_size >= 1);
  const Index& index = *index_;
  const double fraction = index.config.class_balanced;
  std::vector<Item> items;
  std::int64_t epoch = -1;
  std::unique_ptr<EpochOrder> order;
  for (std::int64_t draw = step * batch_size; draw < (step + 1) * batch_size; ++draw) {
    RandomStream random(index.seed, {hash_name("item"), static_cast<std::uint64_t>(draw)});
    // Balanced draws are spread evenly, so that the number of plain ones before this is known without counting.
    const auto balanced_before = static_cast<std::int64_t>(std::floor(static_cast<double>(draw) * fraction));
    const auto balanced_after = static_cast<std::int64_t>(std::floor(static_cast<double>(draw + 1) * fraction));
    if (balanced_after > balanced_before) {
      items.push_back(index.balanced(random));
    } else {
      const std::int64_t plain = draw - balanced_before;
      if (plain / size() != epoch) {
        epoch = plain / size();
        order = std::make_unique<EpochOrder>(size(), index.seed, epoch);
      }
      items.push_back(index.plain(index.training[static_cast<std::size_t>((*order)[plain % size()])], random));
    }
    items.back().draw = static_cast<std::uint64_t>(draw);
  }
  return items;
}

std::vector<Item> Sampler::all_items(std::int64_t limit) const {
  const Index& index = *index_;
  std::vector<Item> items;
  if (index.config.items == "slices") {
    for (const SliceRef& ref : index.slices) items.push_back({index.samples[ref.sample], index.slice_region(ref), ref.axis, 0});
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
            items.push_back({index.samples[s], index.patch_at(s, {d * patch[0], h * patch[1], w * patch[2]}), 0, 0});
          }
        }
      }
    }
  }
  const auto count = static_cast<std::int64_t>(items.size());
  if (limit > 0 && limit < count) {
    std::vector<Item> spread;
    for (std::int64_t i = 0; i < limit; ++i) spread.push_back(items[static_cast<std::size_t>((2 * i + 1) * count / (2 * limit))]);
    items = std::move(spread);
  }
  for (std::size_t i = 0; i < items.size(); ++i) items[i].draw = i;
  return items;
}

}  // namespace triptych
