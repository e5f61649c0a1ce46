// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/random_shapes.h"

#include "framework/core/error.h"
#include "framework/data/dataset.h"
#include "framework/data/synthetic_splits.h"
#include "framework/ops/entry_cache.h"

#include <algorithm>

#include <ATen/ATen.h>

namespace triptych {
namespace {

/// Objects of random ellipsoids, boxes and cracks within a body: `image` (0 in air, up to `largest`
/// or 1) and `label`. Every sample is a function of (seed, split, number) alone. With one slice a
/// sample they train reconstruction for objects of any kind; with volumes, what must not depend on
/// anatomy.
class RandomShapesDataset final : public Dataset {
 public:
  struct Config {
    std::int64_t seed = 0;
    std::int64_t train = 200;
    std::int64_t validation = 8;
    std::int64_t test = 16;
    std::array<std::int64_t, 3> size{1, 256, 256};
    double spacing_mm = 1.0;
    RandomShapes shapes;
    double cache_mb = 512.0;

    void visit(auto& field) {
      field("seed", seed, "all samples follow from it", config::AtLeast{0});
      field("train", train, "number of training samples", config::Between{0, 100000});
      field("validation", validation, "number of validation samples", config::Between{0, 100000});
      field("test", test, "number of test samples", config::Between{0, 100000});
      field("size", size, "voxels along D, H, W; D = 1 gives slices", config::Between{1, 4096});
      field("spacing_mm", spacing_mm, "edge of a voxel", config::Above{0.0}, config::Unit{"mm"});
      field("count", shapes.count, "[fewest, most] shapes within a body", config::Between{0, 1000});
      field("radius",
            shapes.radius,
            "[smallest, largest] radius of a shape, of half the field of view",
            config::Between{0.001, 1.0});
      field(
          "cracks", shapes.cracks, "share of the shapes that are thin", config::Between{0.0, 1.0});
      field("distortion",
            shapes.distortion,
            "how far borders are bent, of half the field of view",
            config::Between{0.0, 1.0});
      field("texture",
            shapes.texture,
            "relative deviation of the values within a shape",
            config::Between{0.0, 1.0});
      field("grain",
            shapes.grain,
            "standard deviation of independent noise in the body's voxels",
            config::Between{0.0, 1.0});
      field("contrast",
            shapes.contrast,
            "of the shapes to the body; 1 = values between 0 and largest",
            config::Between{0.0, 1.0});
      field("strong",
            shapes.strong,
            "share of the shapes that have a contrast of 1 all the same, as bone and gas do",
            config::Between{0.0, 1.0});
      field("largest",
            shapes.largest,
            "value of a shape; 0.45 with a body of about 0.2 is tissue, gas and bone in 1/cm",
            config::Above{0.0});
      field("body", shapes.body, "[least, largest] value of the body", config::Between{0.0, 1.0});
      field("cache_mb",
            cache_mb,
            "memory for samples, 12 bytes a voxel; what does not fit is made again",
            config::AtLeast{0.0},
            config::Unit{"MB"});
    }
    void validate(config::Problems& problems) const {
      if (shapes.count[0] > shapes.count[1])
        problems.add("count", "expects [fewest, most] with fewest <= most");
      if (shapes.radius[0] > shapes.radius[1])
        problems.add("radius", "expects [smallest, largest] with smallest <= largest");
      if (shapes.body[0] > shapes.body[1])
        problems.add("body", "expects [least, largest] with least <= largest");
    }
  };

  explicit RandomShapesDataset(const Config& config)
      : config_(config),
        splits_("random_shapes", config.train, config.validation, config.test),
        cache_(static_cast<std::size_t>(config.cache_mb * 1e6)) {
    classes_.classes = {{0, "background", {0, 0, 0}},
                        {1, "body", {240, 228, 66}},
                        {2, "ellipsoid", {0, 114, 178}},
                        {3, "box", {0, 158, 115}},
                        {4, "crack", {213, 94, 0}}};
    for (const std::string& id : splits_.ids()) add_sample(id);
  }

  const std::vector<SampleSpec>& samples() const override { return samples_; }

  std::vector<std::size_t> split(const std::string& name) const override {
    return splits_.split(name);
  }

  Entry read(std::size_t sample, const std::string& entry, const Region& region) const override {
    TRIPTYCH_ASSERT(sample < samples_.size());
    const EntrySpec* spec = samples_[sample].find(entry);
    if (spec == nullptr) {
      throw data_error(fmt::format(
          "{}: no entry '{}' is offered, only image and label", samples_[sample].id, entry));
    }
    const auto whole = painted(sample);
    at::Tensor data = spec->kind == EntryKind::kLabel ? whole->labels : whole->image;
    for (std::size_t axis = 0; axis < 3; ++axis)
      data = data.narrow(static_cast<std::int64_t>(axis), region.start[axis], region.size[axis]);
    Entry result;
    result.kind = spec->kind;
    result.modality = spec->modality;
    result.geometry = spec->geometry.cropped(region);
    result.data = data.unsqueeze(0);
    return result;
  }

  const ClassTable& classes() const override { return classes_; }

 private:
  void add_sample(const std::string& id) {
    SampleSpec sample;
    sample.id = id;
    for (const auto& [name, kind] :
         {std::pair{"image", EntryKind::kIntensity}, {"label", EntryKind::kLabel}}) {
      EntrySpec entry;
      entry.name = name;
      entry.kind = kind;
      entry.modality = "shapes";
      entry.geometry.shape = config_.size;
      entry.geometry.spacing.setConstant(config_.spacing_mm);
      sample.entries.push_back(entry);
    }
    samples_.push_back(std::move(sample));
  }

  std::shared_ptr<const PaintedShapes> painted(std::size_t sample) const {
    return cache_.get<PaintedShapes>(std::to_string(sample), [&] {
      const RandomStream stream(static_cast<std::uint64_t>(config_.seed),
                                {hash_name("random_shapes"), splits_.stream_index(sample)});
      auto made = std::make_shared<PaintedShapes>(
          paint_random_shapes(config_.size, config_.shapes, stream));
      return EntryCache::Made{made, made->image.nbytes() + made->labels.nbytes()};
    });
  }

  Config config_;
  ClassTable classes_;
  SyntheticSplits splits_;
  std::vector<SampleSpec> samples_;
  mutable EntryCache cache_;
};

}  // namespace
TRIPTYCH_REGISTER_DATASET("random_shapes", RandomShapesDataset)
}  // namespace triptych
