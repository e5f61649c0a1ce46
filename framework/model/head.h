// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/config/component.h"
#include "framework/data/batch.h"
#include "framework/model/feature_pyramid.h"

#include <array>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <torch/nn/module.h>

namespace triptych {

/// What a head gives. `kind` says what the numbers are, so that test-time augmentation and fusion
/// can undo flips and turns.
struct Prediction {
  enum class Kind {
    kLogits,        ///< [N, K, D, H, W], before softmax
    kIntensity,     ///< [N, C, D, H, W]
    kDisplacement,  ///< [N, 3, D, H, W] in mm (LPS), moving_from_fixed, on the fixed grid
    kPoints,        ///< [N, P, 3] in mm (LPS)
    kLabels,        ///< [N, 1, D, H, W] class indices of a fused volume; heads give logits
  };
  Kind kind = Kind::kLogits;
  at::Tensor value;
  std::string frame;  ///< physical space of the grid; "" = that of the role "image"
  std::map<std::string, at::Tensor>
      extra;  ///< [N, ...] intermediate results that losses or pictures want (velocity, ...)

  /// The prediction of the items `chosen`, in that order.
  Prediction rows(const std::vector<std::int64_t>& chosen) const;

  static Prediction logits(at::Tensor value) { return {Kind::kLogits, std::move(value), "", {}}; }
  static Prediction intensity(at::Tensor value) {
    return {Kind::kIntensity, std::move(value), "", {}};
  }
  static Prediction displacement(at::Tensor value) {
    return {Kind::kDisplacement, std::move(value), "", {}};
  }
  static Prediction points(at::Tensor value) { return {Kind::kPoints, std::move(value), "", {}}; }
};

/// Predictions of one head for parts of a batch, one after the other.
Prediction concatenated(const std::vector<Prediction>& parts);

/// What a head may ask for in one forward pass. Every item of it has all roles that the head names
/// in `Head::roles()`.
class HeadInputs {
 public:
  virtual ~HeadInputs() = default;
  /// Pyramid of a role's image, computed once a step and shared by every task that asks.
  virtual const FeaturePyramid& features(const std::string& role) = 0;
  /// Runs the shared network on an image that the head made itself: an iterate of an unrolled
  /// reconstruction, a warped image.
  virtual FeaturePyramid encode(const at::Tensor& image, const std::string& modality) = 0;
  /// Geometry, projections, raw images and other context.
  virtual const Batch& batch() const = 0;
  /// Another task's prediction, where the configuration declares that edge; throws model_error
  /// otherwise.
  virtual const Prediction& output_of(const std::string& task) = 0;
};

/// The task-specific end of the network.
///
/// Contract (tests/contract): declared output shape for two sizes, finite values, gradients reach
/// every parameter, deterministic in evaluation mode, independent of the rest of the batch, state
/// round trip, minimal YAML builds.
class Head : public torch::nn::Module {
 public:
  static constexpr const char* kKind = "head";
  virtual Prediction forward(HeadInputs& inputs) = 0;
  /// Channels of Prediction::value (classes, image channels, 3 for displacements).
  virtual std::int64_t out_channels() const = 0;
  /// Roles that the head reads, as features or from the batch; "image" by default. Items that lack
  /// one are not predicted.
  virtual std::vector<std::string> roles() const { return {"image"}; }
  /// Voxels of Prediction::value for each voxel of the image, along D, H, W. Targets are then read
  /// on that finer grid.
  virtual std::array<std::int64_t, 3> upsampling() const { return {1, 1, 1}; }
  /// Modalities of the images that the head makes itself and hands to HeadInputs::encode, with
  /// their channels.
  virtual std::map<std::string, std::int64_t> encodes() const { return {}; }
};

using HeadRegistry = config::Registry<Head, const PyramidSpec&>;

}  // namespace triptych

#define TRIPTYCH_REGISTER_HEAD(name, type) \
  TRIPTYCH_REGISTER_COMPONENT(::triptych::HeadRegistry, name, type)
