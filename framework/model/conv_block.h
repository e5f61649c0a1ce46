// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

namespace triptych {

/// Activations by the name they have in configurations: mish, relu or leaky_relu (slope 0.01).
at::Tensor activate(const at::Tensor& x, const std::string& activation);

/// NHWC or NDHWC: the memory format in which convolutions of `dimensions` spatial axes are fastest.
at::MemoryFormat channels_last_format(int dimensions);

/// What a convolution block is made of.
struct ConvBlockConfig {
  int dimensions = 2;  ///< spatial axes: 2 or 3
  std::int64_t in_channels = 1;
  std::int64_t out_channels = 1;
  std::int64_t kernel = 3;  ///< odd; zero padding keeps the size
  std::string normalisation = "batch";
  std::string activation = "mish";
  double dropout = 0.0;
  int convolutions = 2;
  /// Taps at equal distance from a kernel's middle have one weight (isotropic_kernel.h), and the
  /// border is repeated instead of zero padding. There is no inference form.
  bool isotropic = false;
};

/// Convolution, normalisation and activation, [N, in, (D,) H, W] -> [N, out, (D,) H, W],
/// channels-last in memory.
///
/// The convolution has a bias only without normalisation (a normalisation would remove it). Weights
/// start as He's normal distribution, drawn from LibTorch's default generator. Under bfloat16
/// autocast the convolution runs in bfloat16.
class ConvUnit final : public torch::nn::Module {
 public:
  explicit ConvUnit(const ConvBlockConfig& config);
  at::Tensor forward(const at::Tensor& x);

  /// Parameters of the inference form: batch normalisation (its running statistics) multiplied into
  /// weight and bias.
  struct Folded {
    at::Tensor weight;  ///< [out, in, (k,) k, k], channels-last
    at::Tensor bias;    ///< [out]; undefined when an instance normalisation follows
    at::Tensor scale;   ///< [out], shift [out]: of the instance normalisation, else undefined
    at::Tensor shift;
  };
  Folded folded() const;
  const std::string& activation() const { return config_.activation; }

 private:
  at::Tensor normalise(const at::Tensor& x);

  ConvBlockConfig config_;
  at::Tensor weight_, bias_;
  at::Tensor scale_, shift_, running_mean_, running_variance_;
};

/// Instance normalisation with an affine part [C]; in float32 whatever the type of x, which is that
/// of the result.
at::Tensor instance_normalise(const at::Tensor& x,
                              const at::Tensor& scale,
                              const at::Tensor& shift);

/// `convolutions` units in a row, then channel dropout.
class ConvBlock final : public torch::nn::Module {
 public:
  explicit ConvBlock(const ConvBlockConfig& config);
  at::Tensor forward(at::Tensor x);
  const std::vector<std::shared_ptr<ConvUnit>>& units() const { return units_; }

 private:
  ConvBlockConfig config_;
  std::vector<std::shared_ptr<ConvUnit>> units_;
};

/// Transposed convolution of kernel 2 and stride 2, [N, in, (D,) H, W] -> [N, out, (2D,) 2H, 2W],
/// with bias.
///
/// Computed as a 1x1 convolution to out * 2^dimensions channels whose values are then spread over
/// the 2x2(x2) blocks: equal to the transposed convolution, faster on the CPU, and able to run in
/// bfloat16 there, which the other is not.
class UpConvolution final : public torch::nn::Module {
 public:
  UpConvolution(int dimensions,
                std::int64_t in_channels,
                std::int64_t out_channels,
                bool isotropic = false);
  at::Tensor forward(const at::Tensor& x);
  const at::Tensor& weight() const { return weight_; }  ///< [in, out, (2,) 2, 2]
  const at::Tensor& bias() const { return bias_; }

 private:
  int dimensions_;
  bool isotropic_;  ///< the 2x2(x2) values of a block are equal
  at::Tensor weight_, bias_;
};

/// Largest value of each 2x2(x2) block, [N, C, (D,) H, W] -> half the sizes; any float type.
at::Tensor max_pool_2(const at::Tensor& x);

/// Mean of each block instead.
at::Tensor mean_pool_2(const at::Tensor& x);

}  // namespace triptych
