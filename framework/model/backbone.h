// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/config/component.h"
#include "framework/model/feature_pyramid.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <torch/nn/module.h>

namespace triptych {

/// What enters a backbone: the channels that every modality stem delivers.
struct BackboneInput {
  std::int64_t channels = 1;
};

/// An ordered piece of a backbone. Sharing schemes mix the columns' `current` features between
/// stages.
struct StageSpec {
  std::string name;                             ///< "encoder_0", "bottleneck", "decoder_0", ...
  std::int64_t channels = 0;                    ///< of `current` after the stage
  std::array<std::int64_t, 3> stride{1, 1, 1};  ///< of `current` after the stage
  std::int64_t pyramid_level = -1;              ///< level that the stage's output becomes, or -1
};

/// Activations on their way through the stages. A stage takes what it needs from `current` and
/// `skips`, and leaves its output in `current`. A skip is stored by the stage that consumes
/// `current`, so that it holds the mixed features.
struct Activations {
  at::Tensor current;             ///< [N, C, D, H, W]
  std::vector<at::Tensor> skips;  ///< encoder outputs, finest first
};

/// Parameters, multiply-adds and receptive field of one image size, from the layers' own
/// arithmetic.
struct BackboneCost {
  std::int64_t multiply_adds = 0;     ///< of one forward pass
  std::int64_t activation_bytes = 0;  ///< float32 outputs of all layers, as training keeps them
  std::array<std::int64_t, 3> bottleneck_receptive_field{1, 1, 1};  ///< voxels along D, H, W
  std::array<std::int64_t, 3> output_receptive_field{1, 1, 1};
};

/// The shared network: an image [N, C, D, H, W] to a feature pyramid.
///
/// Between data, backbone and head a tensor is always [N, C, D, H, W]: D = 1 for a slice, D = S for
/// a slab of S neighbouring slices (2.5D; the output is the central slice, D = 1), D = depth in 3D.
/// Only the backbone decides whether it convolves in two dimensions. Contract (tests/contract):
/// declared channels and strides hold, outputs are finite, gradients reach every parameter,
/// evaluation is deterministic and independent of the rest of the batch.
class Backbone : public torch::nn::Module {
 public:
  static constexpr const char* kKind = "backbone";

  virtual const std::vector<StageSpec>& stages() const = 0;
  /// Runs stage `index`; stages run in order, each once.
  virtual void run_stage(std::size_t index, Activations& activations) = 0;

  /// Sizes of D, H, W must be multiples of these.
  virtual std::array<std::int64_t, 3> size_multiple() const = 0;
  /// 1 for a 2D backbone, S for slabs, 0 for 3D (any depth that is a multiple of
  /// size_multiple()[0]).
  virtual std::int64_t slab() const = 0;
  virtual BackboneCost cost(const std::array<std::int64_t, 3>& size) const = 0;

  /// An equal network for inference only: batch norm folded into convolutions, channels-last, fused
  /// activations. Shares no storage with this one; the default is nullptr (the module itself
  /// serves).
  virtual std::shared_ptr<Backbone> folded() const { return nullptr; }

  /// Channels and strides of the pyramid, from stages().
  PyramidSpec levels() const;
  /// All stages in order, for one column. Throws shape_error when a size is no multiple of
  /// size_multiple().
  FeaturePyramid forward(const at::Tensor& image);
  /// Throws shape_error unless image is [N, C, D, H, W] with fitting sizes.
  void check_input(const at::Tensor& image) const;
};

using BackboneRegistry = config::Registry<Backbone, const BackboneInput&>;

}  // namespace triptych

#define TRIPTYCH_REGISTER_BACKBONE(name, type) \
  TRIPTYCH_REGISTER_COMPONENT(::triptych::BackboneRegistry, name, type)
