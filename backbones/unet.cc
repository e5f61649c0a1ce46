// SPDX-License-Identifier: Apache-2.0
#include "framework/core/error.h"
#include "framework/core/nn.h"
#include "framework/model/backbone.h"
#include "framework/model/conv_block.h"
#include "framework/model/folded_block.h"

#include <algorithm>
#include <array>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace triptych {
namespace {

/// U-net with "same" padding (Baltruschat et al. 2021): `depth` poolings, a bottleneck of width *
/// 2^depth channels, two convolutions a block, transposed convolutions up, concatenating skips. In
/// two dimensions on slices, in two dimensions with `slab` neighbouring slices as channels (2.5D),
/// or in three dimensions.
///
/// An `isotropic` net sees alike what is turned: its kernels are radially symmetric, it pools by
/// means and repeats the border instead of zero padding. Maps turn with the image, exactly by 90
/// degrees and roughly by other angles, at the price that no map tells directions or sides.
struct UnetConfig {
  std::int64_t dimensions = 2;
  std::int64_t slab = 1;
  std::int64_t width = 32;
  std::int64_t depth = 3;
  std::int64_t kernel = 3;
  std::string normalisation = "batch";
  std::string activation = "mish";
  double dropout = 0.0;
  bool isotropic = false;

  void visit(auto& field) {
    field("dimensions",
          dimensions,
          "axes that the convolutions see: 2 (slices, slabs) or 3",
          config::Between{2, 3});
    field("slab",
          slab,
          "neighbouring slices that enter as channels (2.5D), odd; 1 = a slice alone",
          config::AtLeast{1});
    field("width",
          width,
          "channels of the first block, doubled with every level",
          config::AtLeast{1});
    field("depth", depth, "number of poolings", config::Between{1, 8});
    field("kernel",
          kernel,
          "kernel size of the blocks' convolutions, odd",
          config::Between{1, 15},
          config::Unit{"voxels"});
    field("normalisation",
          normalisation,
          "after every convolution",
          config::OneOf{"batch", "instance", "none"});
    field("activation",
          activation,
          "after every normalisation",
          config::OneOf{"mish", "relu", "leaky_relu"});
    field("dropout",
          dropout,
          "channel dropout at the end of every block",
          config::AtLeast{0.0},
          config::Below{1.0});
    field("isotropic",
          isotropic,
          "radially symmetric kernels, mean pooling, repeated borders: maps turn with the image");
  }
  void validate(config::Problems& problems) const {
    if (kernel % 2 == 0) problems.add("kernel", "must be odd, so that zero padding keeps the size");
    if (slab % 2 == 0) problems.add("slab", "must be odd, so that there is a central slice");
    if (dimensions == 3 && slab != 1) problems.add("slab", "must be 1 when dimensions is 3");
  }

  int axes() const { return static_cast<int>(dimensions); }
  std::int64_t channels(std::int64_t level) const { return width << level; }
  ConvBlockConfig block(std::int64_t in_channels, std::int64_t level) const {
    return {.dimensions = axes(),
            .in_channels = in_channels,
            .out_channels = channels(level),
            .kernel = kernel,
            .normalisation = normalisation,
            .activation = activation,
            .dropout = dropout,
            .isotropic = isotropic};
  }
};

/// Most input voxels that an output voxel can see along an axis, over all places in a pooling
/// block: walks the interval of voxels needed from the output back to the input. `from_bottleneck`
/// starts at a bottleneck voxel instead.
std::int64_t receptive_field(const UnetConfig& config, bool from_bottleneck) {
  const std::int64_t reach =
      2 * (config.kernel / 2);  // of a block's two convolutions, to each side
  const std::int64_t period = std::int64_t{1} << config.depth;
  std::int64_t longest = 0;
  for (std::int64_t place = 0; place < (from_bottleneck ? 1 : period); ++place) {
    std::int64_t low = place + period * config.kernel * 64,
                 high = low;  // far from zero: halving rounds alike everywhere
    if (!from_bottleneck) {
      for (std::int64_t level = 0; level < config.depth; ++level) {
        low = (low - reach) / 2;
        high = (high + reach) / 2;
      }
    }
    for (std::int64_t level = 0; level < config.depth; ++level) {
      low = 2 * (low - reach);
      high = 2 * (high + reach) + 1;
    }
    longest = std::max(longest, high + reach - (low - reach) + 1);
  }
  return longest;
}

/// What the trained and the folded form have in common: the plan of the stages and its arithmetic.
class UnetPlan : public Backbone {
 public:
  /// The plan alone: modules and parameters of `other` are not shared.
  UnetPlan(const UnetPlan& other) : UnetPlan(other.config_, {other.in_channels_}) {}
  UnetPlan(const UnetConfig& config, const BackboneInput& input)
      : config_(config), in_channels_(input.channels) {
    for (std::int64_t i = 0; i < config.depth; ++i)
      add_stage("encoder_" + std::to_string(i), i, false);
    add_stage("bottleneck", config.depth, true);
    for (std::int64_t i = config.depth - 1; i >= 0; --i)
      add_stage("decoder_" + std::to_string(i), i, true);
  }

  const std::vector<StageSpec>& stages() const override { return stages_; }
  std::int64_t slab() const override { return config_.dimensions == 3 ? 0 : config_.slab; }
  std::array<std::int64_t, 3> size_multiple() const override {
    const std::int64_t multiple = std::int64_t{1} << config_.depth;
    return {config_.dimensions == 3 ? multiple : 1, multiple, multiple};
  }

  BackboneCost cost(const std::array<std::int64_t, 3>& size) const override {
    BackboneCost cost;
    const std::int64_t bottleneck = receptive_field(config_, true),
                       output = receptive_field(config_, false);
    const bool volumetric = config_.dimensions == 3;
    cost.bottleneck_receptive_field = {
        volumetric ? bottleneck : config_.slab, bottleneck, bottleneck};
    cost.output_receptive_field = {volumetric ? output : config_.slab, output, output};
    for (std::int64_t level = 0; level <= config_.depth; ++level) {
      const std::int64_t voxels =
          (volumetric ? size[0] >> level : 1) * (size[1] >> level) * (size[2] >> level);
      const std::int64_t in = level == 0 ? image_channels() : config_.channels(level - 1);
      add_block(cost, voxels, in, level);
      if (level > 0) cost.activation_bytes += 4 * voxels * in;  // pooled
      if (level == config_.depth) break;
      const std::int64_t out = config_.channels(level);
      cost.multiply_adds +=
          voxels * config_.channels(level + 1) * out;  // transposed convolution: one tap a voxel
      cost.activation_bytes += 4 * voxels * (out + 2 * out);  // its output and the concatenation
      add_block(cost, voxels, 2 * out, level);
    }
    return cost;
  }

 protected:
  std::int64_t image_channels() const { return in_channels_ * config_.slab; }
  /// A slice or slab [N, C, D, H, W] as the image [N, C * D, H, W]; unchanged in three dimensions.
  at::Tensor enter(const at::Tensor& x) const {
    if (config_.dimensions == 3) return x;
    return x.size(2) == 1 ? x.squeeze(2) : x.flatten(1, 2);
  }
  /// Back to [N, C, 1, H, W].
  at::Tensor leave(const at::Tensor& x) const {
    return config_.dimensions == 3 ? x : x.unsqueeze(2);
  }
  bool is_encoder(std::size_t stage) const {
    return stage <= static_cast<std::size_t>(config_.depth);
  }

  UnetConfig config_;

 private:
  void add_stage(std::string name, std::int64_t level, bool in_pyramid) {
    const std::int64_t stride = std::int64_t{1} << level;
    stages_.push_back({std::move(name),
                       config_.channels(level),
                       {config_.dimensions == 3 ? stride : config_.slab, stride, stride},
                       in_pyramid ? level : -1});
  }
  void add_block(BackboneCost& cost,
                 std::int64_t voxels,
                 std::int64_t in,
                 std::int64_t level) const {
    const std::int64_t out = config_.channels(level);
    std::int64_t taps = 1;
    for (int axis = 0; axis < config_.axes(); ++axis) taps *= config_.kernel;
    cost.multiply_adds += voxels * taps * (in + out) * out;
    const std::int64_t outputs =
        config_.normalisation == "none" ? 2 : 3;  // convolution, (normalisation,) activation
    cost.activation_bytes += 4 * voxels * out * 2 * outputs;
  }

  std::int64_t in_channels_;
  std::vector<StageSpec> stages_;
};

class Unet final : public UnetPlan {
 public:
  using Config = UnetConfig;

  Unet(const Config& config, const BackboneInput& input) : UnetPlan(config, input) {
    for (std::int64_t level = 0; level <= config.depth; ++level) {
      const std::int64_t in = level == 0 ? image_channels() : config.channels(level - 1);
      blocks_.push_back(register_module(stages()[blocks_.size()].name,
                                        std::make_shared<ConvBlock>(config.block(in, level))));
    }
    for (std::int64_t level = config.depth - 1; level >= 0; --level) {
      const std::int64_t out = config.channels(level);
      ups_.push_back(
          register_module("up_" + std::to_string(level),
                          std::make_shared<UpConvolution>(
                              config.axes(), config.channels(level + 1), out, config.isotropic)));
      blocks_.push_back(register_module(stages()[blocks_.size()].name,
                                        std::make_shared<ConvBlock>(config.block(2 * out, level))));
    }
  }

  void run_stage(std::size_t index, Activations& activations) override {
    at::Tensor x = enter(activations.current);
    if (is_encoder(index)) {
      if (index > 0) {
        activations.skips.push_back(activations.current);
        x = config_.isotropic ? mean_pool_2(x) : max_pool_2(x);
      }
    } else {
      x = ups_[index - ups_.size() - 1]->forward(x);
      x = at::cat({enter(activations.skips.back()), x}, 1);
      activations.skips.pop_back();
    }
    activations.current = leave(blocks_[index]->forward(x));
  }

  std::shared_ptr<Backbone> folded() const override;

 private:
  friend class FoldedUnet;
  std::vector<std::shared_ptr<ConvBlock>> blocks_;   ///< one a stage
  std::vector<std::shared_ptr<UpConvolution>> ups_;  ///< coarsest first
};

/// The same stages for inference: folded convolutions, no intermediate images between transposed
/// convolution and skip.
class FoldedUnet final : public UnetPlan {
 public:
  explicit FoldedUnet(const Unet& net) : UnetPlan(net) {
    for (std::size_t i = 0; i < net.blocks_.size(); ++i) {
      blocks_.push_back(
          register_module(stages()[i].name, std::make_shared<FoldedBlock>(*net.blocks_[i])));
    }
    for (std::size_t i = 0; i < net.ups_.size(); ++i) {
      ups_.push_back(
          register_module("up_" + std::to_string(i), std::make_shared<FoldedUp>(*net.ups_[i])));
    }
    eval();
  }

  void run_stage(std::size_t index, Activations& activations) override {
    at::Tensor x = enter(activations.current);
    if (is_encoder(index)) {
      if (index > 0) {
        activations.skips.push_back(activations.current);
        x = folded_max_pool(x);
      }
    } else {
      x = ups_[index - ups_.size() - 1]->forward(enter(activations.skips.back()), x);
      activations.skips.pop_back();
    }
    activations.current = leave(blocks_[index]->forward(x));
  }

 private:
  std::vector<std::shared_ptr<FoldedBlock>> blocks_;
  std::vector<std::shared_ptr<FoldedUp>> ups_;
};

std::shared_ptr<Backbone> Unet::folded() const {
  return config_.isotropic ? nullptr : std::make_shared<FoldedUnet>(*this);
}

}  // namespace
TRIPTYCH_REGISTER_BACKBONE("unet", Unet)
}  // namespace triptych
