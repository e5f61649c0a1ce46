// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/config/component.h"
#include "framework/core/random.h"
#include "framework/data/sample.h"

namespace triptych {

/// A change of a sample: `draw` decides at random, `apply` is deterministic, so that any item can
/// be replayed.
///
/// Contract: right for every EntryKind or refuses it with a data_error; entries of one frame move
/// together; geometry, labels, vectors and points stay consistent; `apply` with equal parameters
/// gives equal bits.
class Transform {
 public:
  static constexpr const char* kKind = "transform";
  virtual ~Transform() = default;
  /// Random decisions for this sample; deterministic transforms return {}.
  virtual TransformParameters draw(const Sample& sample, RandomStream& random) const = 0;
  virtual void apply(Sample& sample, const TransformParameters& parameters) const = 0;
  /// Size [D, H, W] of an entry of `size` in `frame` afterwards. Needed where a size changes, so
  /// that items which can be stacked are known before they are read.
  virtual Index3 size_after(const Index3& size, const std::string& /*frame*/) const { return size; }
};

using TransformRegistry = config::Registry<Transform>;

/// A list of transforms from configuration (each a map with its registered `name`).
class TransformChain {
 public:
  TransformChain() = default;
  explicit TransformChain(const std::vector<config::Node>& configs);
  /// Draws and applies each in turn, each with its own derived stream, and records the parameters
  /// in the sample's history.
  void operator()(Sample& sample, const RandomStream& random) const;
  /// Size [D, H, W] that an entry of `size` in `frame` has after all of them.
  Index3 size_after(Index3 size, const std::string& frame) const;
  bool empty() const { return steps_.empty(); }

 private:
  struct Step {
    std::string name;
    std::shared_ptr<Transform> transform;
  };
  std::vector<Step> steps_;
};

}  // namespace triptych

#define TRIPTYCH_REGISTER_TRANSFORM(name, type) \
  TRIPTYCH_REGISTER_COMPONENT(::triptych::TransformRegistry, name, type)
