// SPDX-License-Identifier: Apache-2.0
#include "framework/core/error.h"
#include "framework/core/parallel.h"
#include "framework/data/dataset.h"
#include "framework/data/synthetic_splits.h"
#include "framework/ops/entry_cache.h"
#include "framework/ops/noise_field.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <ATen/ATen.h>
#include <fmt/core.h>

namespace triptych {
namespace {

/// Label maps without anatomy: every class has a smooth random field, and a voxel belongs to the
/// class whose field is the largest there (the label maps of SynthMorph, Hoffmann et al., IEEE
/// Trans. Med. Imaging 41:543, 2022). Entries `label` and `image`, which has a random grey value
/// between 0 and 1 for each class. Every sample is a function of (seed, split, number) alone.
///
/// With `individual` < 1 the fields, and the grey values, are sums of one that all samples share
/// and one of their own, so that they are individuals of one kind in one modality.
class RandomLabels final : public Dataset {
 public:
  struct Config {
    std::int64_t seed = 0;
    std::int64_t train = 100;
    std::int64_t validation = 8;
    std::int64_t test = 16;
    std::array<std::int64_t, 3> size{64, 64, 64};
    double spacing_mm = 1.0;
    std::int64_t classes = 16;
    double structure = 0.2;
    double individual = 1.0;
    double specimen = 0.0;
    double cache_mb = 512.0;

    void visit(auto& field) {
      field("seed", seed, "all samples follow from it", config::AtLeast{0});
      field("train", train, "number of training samples", config::Between{0, 100000});
      field("validation", validation, "number of validation samples", config::Between{0, 100000});
      field("test", test, "number of test samples", config::Between{0, 100000});
      field("size", size, "voxels along D, H, W; D = 1 gives slices", config::Between{1, 2048});
      field("spacing_mm", spacing_mm, "edge of a voxel", config::Above{0.0}, config::Unit{"mm"});
      field("classes", classes, "classes of the label maps", config::Between{2, 100});
      field("structure",
            structure,
            "typical size of a structure, of the longest side",
            config::Between{0.01, 1.0});
      field("individual",
            individual,
            "share of the fields' variance that is each sample's own; below 1 the samples are "
            "individuals of one kind",
            config::Between{0.0, 1.0});
      field("specimen",
            specimen,
            "diameter of a ball in the middle outside of which all is class 0, of the shortest "
            "side; 0 = none",
            config::Between{0.0, 2.0});
      field("cache_mb",
            cache_mb,
            "memory for label maps, 1 byte a voxel; what does not fit is made again",
            config::AtLeast{0.0},
            config::Unit{"MB"});
    }
  };

  explicit RandomLabels(const Config& config)
      : config_(config),
        splits_("random_labels", config.train, config.validation, config.test),
        cache_(static_cast<std::size_t>(config.cache_mb * 1e6)) {
    classes_ = numbered_classes(config.classes);
    for (const std::string& id : splits_.ids()) add_sample(id);
  }

  const std::vector<SampleSpec>& samples() const override { return samples_; }
  std::vector<std::size_t> split(const std::string& name) const override {
    return splits_.split(name);
  }
  const ClassTable& classes() const override { return classes_; }

  Entry read(std::size_t sample, const std::string& entry, const Region& region) const override {
    TRIPTYCH_ASSERT(sample < samples_.size());
    const EntrySpec* spec = samples_[sample].find(entry);
    if (spec == nullptr) {
      throw data_error(fmt::format(
          "{}: no entry '{}' is offered, only image and label", samples_[sample].id, entry));
    }
    at::Tensor labels = *label_map(sample);
    for (std::size_t axis = 0; axis < 3; ++axis)
      labels =
          labels.narrow(static_cast<std::int64_t>(axis), region.start[axis], region.size[axis]);
    labels = labels.to(at::kLong).unsqueeze(0);
    Entry result;
    result.kind = spec->kind;
    result.modality = spec->modality;
    result.geometry = spec->geometry.cropped(region);
    result.data = spec->kind == EntryKind::kLabel ? labels : grey_values(sample, labels);
    return result;
  }

 private:
  void add_sample(const std::string& id) {
    SampleSpec sample;
    sample.id = id;
    for (const auto& [name, kind] :
         {std::pair{"image", EntryKind::kIntensity}, {"label", EntryKind::kLabel}}) {
      EntrySpec entry;
      entry.name = name;
      entry.kind = kind;
      entry.modality = "labels";
      entry.geometry.shape = config_.size;
      entry.geometry.spacing.setConstant(config_.spacing_mm);
      sample.entries.push_back(entry);
    }
    samples_.push_back(std::move(sample));
  }

  RandomStream stream(std::size_t sample) const {
    return RandomStream(static_cast<std::uint64_t>(config_.seed),
                        {hash_name("random_labels"), splits_.stream_index(sample)});
  }

  /// What all samples share.
  RandomStream kind() const {
    return RandomStream(static_cast<std::uint64_t>(config_.seed), {hash_name("kind of labels")});
  }

  at::Tensor grey_values(std::size_t sample, const at::Tensor& labels) const {
    RandomStream own = stream(sample).derive("grey values");
    RandomStream common = kind().derive("grey values");
    at::Tensor values = at::empty({config_.classes}, at::kFloat);
    for (std::int64_t i = 0; i < config_.classes; ++i) {
      values.data_ptr<float>()[i] = static_cast<float>(
          config_.individual * own.uniform() + (1.0 - config_.individual) * common.uniform());
    }
    return values.index_select(0, labels.flatten()).view_as(labels);
  }

  /// [D, H, W] uint8.
  std::shared_ptr<const at::Tensor> label_map(std::size_t sample) const {
    return cache_.get<at::Tensor>(std::to_string(sample), [&] {
      auto made = std::make_shared<at::Tensor>(made_labels(stream(sample).derive("labels")));
      return EntryCache::Made{made, made->nbytes()};
    });
  }

  at::Tensor made_labels(const RandomStream& random) const {
    const std::int64_t depth = config_.size[0], height = config_.size[1], width = config_.size[2];
    // Structures are about 1.5 cells apart; lengths are in voxels.
    const double cell =
        config_.structure / 1.5 *
        static_cast<double>(*std::max_element(config_.size.begin(), config_.size.end()));
    const double own = std::sqrt(config_.individual), common = std::sqrt(1.0 - config_.individual);
    std::vector<WeightedField> fields;  // classes of `common` first
    for (const auto& [weight, stream] : {std::pair{common, kind()}, {own, random}}) {
      for (std::int64_t i = 0; weight > 0.0 && i < config_.classes; ++i) {
        fields.push_back({static_cast<float>(weight),
                          {stream.derive(static_cast<std::uint64_t>(i)), std::max(cell, 1.0)}});
      }
    }
    at::Tensor labels = at::empty({depth, height, width}, at::kByte);
    std::uint8_t* voxels = labels.data_ptr<std::uint8_t>();
    parallel_for(depth * height, 64, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t row = begin; row < end; ++row) {
        for (std::int64_t w = 0; w < width; ++w) {
          const Point3f place{static_cast<float>(w),
                              static_cast<float>(row % height),
                              static_cast<float>(row / height)};
          voxels[row * width + w] = within_specimen(place) ? largest(fields, place) : 0;
        }
      }
    });
    return labels;
  }

  struct WeightedField {
    float weight;
    NoiseField field;
  };

  bool within_specimen(const Point3f& place) const {
    if (config_.specimen == 0.0) return true;
    const auto [depth, height, width] = config_.size;
    const bool planar = depth == 1;
    const double side =
        static_cast<double>(planar ? std::min(height, width) : std::min({depth, height, width}));
    const auto from_middle = [](float index, std::int64_t size) {
      return static_cast<double>(index) - 0.5 * static_cast<double>(size - 1);
    };
    return std::hypot(from_middle(place.x, width),
                      from_middle(place.y, height),
                      from_middle(place.z, depth)) <= 0.5 * config_.specimen * side;
  }

  /// The class whose fields' sum is the largest.
  std::uint8_t largest(const std::vector<WeightedField>& fields, const Point3f& place) const {
    const auto classes = static_cast<std::size_t>(config_.classes);
    std::uint8_t best = 0;
    float highest = -std::numeric_limits<float>::infinity();
    for (std::size_t i = 0; i < classes; ++i) {
      float value = 0.0F;
      for (std::size_t part = i; part < fields.size(); part += classes)
        value += fields[part].weight * fields[part].field.at(place);
      if (value <= highest) continue;
      highest = value;
      best = static_cast<std::uint8_t>(i);
    }
    return best;
  }

  Config config_;
  ClassTable classes_;
  SyntheticSplits splits_;
  std::vector<SampleSpec> samples_;
  mutable EntryCache cache_;
};

}  // namespace
TRIPTYCH_REGISTER_DATASET("random_labels", RandomLabels)
}  // namespace triptych
