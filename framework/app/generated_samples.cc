// SPDX-License-Identifier: Apache-2.0
#include "framework/app/generated_samples.h"

#include "framework/core/error.h"
#include "framework/core/suggest.h"

#include <algorithm>
#include <optional>
#include <set>

namespace triptych::app {

void DrawConfig::validate(config::Problems& problems) const {
  for (const auto& [split, count] : items) {
    const std::vector<std::string> known = {"train", "validation", "test"};
    if (std::find(known.begin(), known.end(), split) == known.end())
      problems.add("items", fmt::format("knows the splits {}, got '{}'", join(known), split));
    if (count < 0)
      problems.add("items", fmt::format("expects numbers from 0, got {}: {}", split, count));
  }
  if (items.empty() && !(entries.empty() && transforms.empty()))
    problems.add("items", "expects how many to draw, e.g. {train: 100}");
  if (!items.empty() && entries.empty())
    problems.add("entries", "expects what to write, e.g. {image: image}");
}

namespace {

class WholeSamples final : public GeneratedSamples {
 public:
  WholeSamples(std::shared_ptr<const Dataset> dataset,
               const std::vector<std::string>& splits,
               std::int64_t limit)
      : dataset_(std::move(dataset)) {
    for (const std::string& split : splits) {
      std::vector<std::size_t> chosen = dataset_->split(split);
      if (limit > 0 && static_cast<std::int64_t>(chosen.size()) > limit)
        chosen.resize(static_cast<std::size_t>(limit));
      for (const std::size_t sample : chosen) {
        jobs_.push_back({dataset_->samples()[sample].id, split});
        samples_.push_back(sample);
      }
    }
  }

  std::vector<EntrySpec> entries(std::size_t job) const override {
    return dataset_->samples()[samples_[job]].entries;
  }

  Sample make(std::size_t job) const override {
    std::vector<std::string> names;
    for (const EntrySpec& entry : entries(job)) names.push_back(entry.name);
    return dataset_->read_sample(samples_[job], names);
  }

 private:
  std::shared_ptr<const Dataset> dataset_;
  std::vector<std::size_t> samples_;  ///< of each job
};

class DrawnItems final : public GeneratedSamples {
 public:
  DrawnItems(std::shared_ptr<const Dataset> dataset, const DrawConfig& config)
      : dataset_(std::move(dataset)), transforms_(config.transforms) {
    for (const auto& [written, entry] : config.entries) {
      check_entry(written, entry);
      roles_.push_back({written, entry});
    }
    config.sampling.check("");
    for (const auto& [split, count] : config.items) {
      if (count > 0) draw(split, count, config);
    }
  }

  /// Every item has the same entries, so that the first one stands for all.
  std::vector<EntrySpec> entries(std::size_t) const override {
    if (!specs_) make(0);
    return *specs_;
  }

  Sample make(std::size_t job) const override {
    const Drawn& drawn = drawn_[job];
    Sample sample = read_item(*dataset_, drawn.item, roles_, slab_);
    transforms_(sample, drawn.random);
    if (slab_ > 1) keep_central_slices(sample, roles_);
    if (!specs_) specs_ = specs_of(sample);
    return sample;
  }

 private:
  struct Drawn {
    Item item;
    RandomStream random;
  };

  void check_entry(const std::string& written, const std::string& entry) const {
    std::set<std::string> known;
    for (const SampleSpec& sample : dataset_->samples()) {
      for (const EntrySpec& spec : sample.entries) known.insert(spec.name);
    }
    if (known.contains(entry)) return;
    const std::vector<std::string> names(known.begin(), known.end());
    throw ConfigError("schema",
                      fmt::format("draw.entries.{}: the dataset has no entry '{}'{}",
                                  written,
                                  entry,
                                  did_you_mean(entry, names)),
                      "it has: " + join(names));
  }

  void draw(const std::string& split, std::int64_t count, const DrawConfig& config) {
    const std::vector<std::size_t> samples = dataset_->split(split);
    if (samples.empty()) {
      throw data_error(
          fmt::format("draw.items: the data set has no samples in the split '{}'", split));
    }
    const std::uint64_t seed =
        mix_keys(static_cast<std::uint64_t>(config.seed), {hash_name(split)});
    const std::size_t reference = reference_role(dataset_->samples()[samples.front()], roles_);
    if (reference == roles_.size())
      throw data_error("draw.entries: expected an entry with a grid, got points alone");
    const Sampler sampler(
        dataset_, samples, config.sampling, roles_[reference].entry, /*label=*/"", seed);
    slab_ = config.sampling.slab;
    for (std::int64_t number = 0; number < count; ++number) {
      const Item item = sampler.step_items(number, 1).front();
      jobs_.push_back({fmt::format("{}_{:04}", split, number), split});
      drawn_.push_back({item, RandomStream(seed, {item.draw})});
    }
  }

  static std::vector<EntrySpec> specs_of(const Sample& sample) {
    std::vector<EntrySpec> specs;
    for (const auto& [name, entry] : sample.entries) {
      EntrySpec spec;
      spec.name = name;
      spec.kind = entry.kind;
      spec.modality = entry.modality;
      spec.frame = entry.frame;
      spec.target_frame = entry.target_frame;
      spec.channels = entry.kind == EntryKind::kPoints ? 1 : entry.data.size(0);
      spec.geometry = entry.geometry;
      specs.push_back(std::move(spec));
    }
    return specs;
  }

  std::shared_ptr<const Dataset> dataset_;
  TransformChain transforms_;
  std::vector<RoleBinding> roles_;
  std::vector<Drawn> drawn_;  ///< of each job
  std::int64_t slab_ = 1;
  mutable std::optional<std::vector<EntrySpec>> specs_;  ///< known once an item was made
};

}  // namespace

std::unique_ptr<GeneratedSamples> whole_samples(std::shared_ptr<const Dataset> dataset,
                                                const std::vector<std::string>& splits,
                                                std::int64_t limit) {
  return std::make_unique<WholeSamples>(std::move(dataset), splits, limit);
}

std::unique_ptr<GeneratedSamples> drawn_items(std::shared_ptr<const Dataset> dataset,
                                              const DrawConfig& config) {
  return std::make_unique<DrawnItems>(std::move(dataset), config);
}

}  // namespace triptych::app
