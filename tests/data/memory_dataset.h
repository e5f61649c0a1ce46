// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/config/yaml_reader.h"
#include "framework/core/error.h"
#include "framework/data/dataset.h"
#include "framework/data/transform.h"

#include <cmath>
#include <functional>
#include <numeric>
#include <string>
#include <vector>

#include <ATen/ATen.h>

namespace triptych::testing {

/// Samples held in memory; what a test says is read.
class MemoryDataset final : public Dataset {
 public:
  explicit MemoryDataset(std::vector<Sample> samples, std::int64_t classes = 3)
      : samples_(std::move(samples)) {
    classes_ = numbered_classes(classes);
    for (const Sample& sample : samples_) {
      SampleSpec spec{sample.id, {}};
      for (const auto& [name, entry] : sample.entries) {
        spec.entries.push_back({name,
                                entry.kind,
                                entry.modality,
                                entry.frame,
                                entry.target_frame,
                                entry.kind == EntryKind::kPoints ? 1 : entry.data.size(0),
                                entry.geometry});
      }
      specs_.push_back(std::move(spec));
    }
  }

  const std::vector<SampleSpec>& samples() const override { return specs_; }
  std::vector<std::size_t> split(const std::string&) const override {
    std::vector<std::size_t> all(samples_.size());
    std::iota(all.begin(), all.end(), 0);
    return all;
  }
  Entry read(std::size_t sample, const std::string& entry, const Region& region) const override {
    if (on_read) on_read(sample, entry, region);
    Entry result = samples_.at(sample).at(entry);
    if (result.kind == EntryKind::kPoints) return result;
    if (result.kind == EntryKind::kProjections) return detector_rows(result, region);
    for (std::size_t i = 0; i < 3; ++i) {
      TRIPTYCH_ASSERT(region.start[i] >= 0 &&
                      region.start[i] + region.size[i] <= result.geometry.shape[i]);
      result.data =
          result.data.narrow(static_cast<std::int64_t>(i) + 1, region.start[i], region.size[i]);
    }
    result.geometry = result.geometry.cropped(region);
    return result;
  }
  const ClassTable& classes() const override { return classes_; }

  std::function<void(std::size_t, const std::string&, const Region&)> on_read;

 private:
  std::vector<Sample> samples_;
  std::vector<SampleSpec> specs_;
  ClassTable classes_;
};

inline Geometry grid_of(const Index3& shape,
                        const Eigen::Vector3d& spacing = Eigen::Vector3d::Ones()) {
  Geometry geometry;
  geometry.shape = shape;
  geometry.spacing = spacing;
  geometry.origin = {3.0, -2.0, 7.0};
  return geometry;
}

/// An image whose voxel values are their positions in memory, and a label with class `c` in slice c
/// along D.
inline Sample numbered_sample(const std::string& id, const Index3& shape) {
  Sample sample;
  sample.id = id;
  const Geometry geometry = grid_of(shape);
  sample.entries["image"] = {
      EntryKind::kIntensity,
      at::arange(geometry.voxels(), at::kFloat).view({1, shape[0], shape[1], shape[2]}),
      geometry,
      "",
      "world",
      "",
      nullptr};
  at::Tensor label = at::zeros({1, shape[0], shape[1], shape[2]}, at::kLong);
  if (shape[0] > 2) {
    label.select(1, 1).fill_(1);
    label[0][2][0][0] = 2;
  }
  sample.entries["label"] = {EntryKind::kLabel, label, geometry, "", "world", "", nullptr};
  return sample;
}

inline std::shared_ptr<Transform> make_transform(const std::string& yaml) {
  return TransformRegistry::instance().create(config::parse_yaml(yaml, "test"));
}

inline TransformChain make_chain(const std::vector<std::string>& yaml) {
  std::vector<config::Node> nodes;
  for (const std::string& text : yaml) nodes.push_back(config::parse_yaml(text, "test"));
  return TransformChain(nodes);
}

}  // namespace triptych::testing
