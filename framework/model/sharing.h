// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/config/component.h"
#include "framework/model/backbone.h"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <torch/nn/module.h>

namespace triptych {

/// Makes one more backbone of the configured kind (for schemes with a column per task).
using BackboneFactory = std::function<std::shared_ptr<Backbone>()>;

/// How tasks share the network: owns the column(s) and may mix them after every stage. No task or
/// head knows which.
class Sharing : public torch::nn::Module {
 public:
  static constexpr const char* kKind = "sharing";
  /// Pyramids of `image` (after its modality's stem) as each of `tasks` sees it, from one pass;
  /// tasks that see the same features get the same tensors.
  virtual std::map<std::string, FeaturePyramid> forward(const at::Tensor& image,
                                                        const std::vector<std::string>& tasks) = 0;
  /// A backbone that tells stages, sizes and costs (all columns are alike).
  virtual const Backbone& column() const = 0;
  /// Column passes that one image of each of `tasks` tasks needs; shown by `summary`.
  virtual std::int64_t column_passes(std::int64_t tasks) const = 0;
  /// Learned mixing [T, T] of the tasks' features by stage (row: the task that receives), for the
  /// logs; none by default.
  virtual std::vector<std::pair<std::string, at::Tensor>> mixing() const { return {}; }
  /// Scalar that joins the loss once a step, e.g. a prior on corresponding weights; undefined =
  /// none.
  virtual at::Tensor penalty() { return {}; }
  /// Replaces columns by their folded versions for inference.
  virtual void fold() = 0;
};

using SharingRegistry =
    config::Registry<Sharing, const std::vector<std::string>&, const BackboneFactory&>;

}  // namespace triptych

#define TRIPTYCH_REGISTER_SHARING(name, type) \
  TRIPTYCH_REGISTER_COMPONENT(::triptych::SharingRegistry, name, type)
