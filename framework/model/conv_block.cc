// SPDX-License-Identifier: Apache-2.0
#include "framework/model/conv_block.h"

#include "framework/core/error.h"
#include "framework/core/nn.h"
#include "framework/model/isotropic_kernel.h"
#include "framework/ops/fold.h"
#include "framework/ops/mish.h"

#include <cmath>
#include <utility>

namespace triptych {
namespace {

constexpr double kEpsilon = 1e-5;
constexpr double kMomentum = 0.1;

std::vector<std::int64_t> kernel_shape(std::int64_t first,
                                       std::int64_t second,
                                       std::int64_t kernel,
                                       int dimensions) {
  std::vector<std::int64_t> shape{first, second};
  shape.insert(shape.end(), static_cast<std::size_t>(dimensions), kernel);
  return shape;
}

/// Convolution with a padding of zeros; conv2d and conv3d rather than convolution because autocast
/// knows only these.
at::Tensor convolve(const at::Tensor& x,
                    const at::Tensor& weight,
                    const at::Tensor& bias,
                    std::int64_t padding) {
  const int dimensions = static_cast<int>(weight.dim()) - 2;
  const at::MemoryFormat format = channels_last_format(dimensions);
  // A tensor of one channel fits both memory formats, so a first convolution may answer in the
  // wrong one.
  const at::Tensor input = x.contiguous(format);
  const at::Tensor y = dimensions == 2 ? at::conv2d(input, weight, bias, 1, padding)
                                       : at::conv3d(input, weight, bias, 1, padding);
  return y.contiguous(format);
}

}  // namespace

at::Tensor activate(const at::Tensor& x, const std::string& activation) {
  if (activation == "mish") return triptych::mish(x);
  if (activation == "relu") return at::relu(x);
  TRIPTYCH_ASSERT(activation == "leaky_relu");
  return at::leaky_relu(x, 0.01);
}

at::MemoryFormat channels_last_format(int dimensions) {
  return dimensions == 2 ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::ChannelsLast3d;
}

at::Tensor instance_normalise(const at::Tensor& x,
                              const at::Tensor& scale,
                              const at::Tensor& shift) {
  // LibTorch 1.13 mixes no types here on the CPU, and the statistics would suffer from bfloat16
  // anyway.
  return at::instance_norm(
             x.to(scale.scalar_type()), scale, shift, {}, {}, true, kMomentum, kEpsilon, false)
      .to(x.scalar_type());
}

ConvUnit::ConvUnit(const ConvBlockConfig& config) : config_(config) {
  TRIPTYCH_ASSERT(config.kernel % 2 == 1);
  const std::int64_t out = config.out_channels;
  at::Tensor weight =
      torch::empty(kernel_shape(out, config.in_channels, config.kernel, config.dimensions));
  torch::nn::init::kaiming_normal_(weight, 0.0, torch::kFanIn, torch::kReLU);
  if (config.isotropic)
    weight =
        isotropic_kernel(weight) * std::sqrt(taps_per_distance(config.kernel, config.dimensions));
  weight_ =
      register_parameter("weight", weight.contiguous(channels_last_format(config.dimensions)));
  if (config.normalisation == "none") {
    bias_ = register_parameter("bias", torch::zeros({out}));
    return;
  }
  scale_ = register_parameter("scale", torch::ones({out}));
  shift_ = register_parameter("shift", torch::zeros({out}));
  if (config.normalisation == "batch") {
    running_mean_ = register_buffer("running_mean", torch::zeros({out}));
    running_variance_ = register_buffer("running_variance", torch::ones({out}));
  } else {
    TRIPTYCH_ASSERT(config.normalisation == "instance");
  }
}

at::Tensor ConvUnit::normalise(const at::Tensor& x) {
  if (config_.normalisation == "none") return x;
  if (config_.normalisation == "instance") return instance_normalise(x, scale_, shift_);
  return at::batch_norm(x,
                        scale_,
                        shift_,
                        running_mean_,
                        running_variance_,
                        is_training(),
                        kMomentum,
                        kEpsilon,
                        false);
}

at::Tensor ConvUnit::forward(const at::Tensor& x) {
  const std::int64_t reach = config_.kernel / 2;
  const at::Tensor y = config_.isotropic
                           ? convolve(edge_padded(x, reach), isotropic_kernel(weight_), bias_, 0)
                           : convolve(x, weight_, bias_, reach);
  return activate(normalise(y), config_.activation);
}

ConvUnit::Folded ConvUnit::folded() const {
  TRIPTYCH_ASSERT(!config_.isotropic);
  const torch::NoGradGuard no_grad;
  const at::MemoryFormat format = channels_last_format(config_.dimensions);
  const auto copy = [](const at::Tensor& t) {
    return t.defined() ? t.detach().clone() : at::Tensor();
  };
  if (config_.normalisation != "batch") {
    return {weight_.detach().clone(format), copy(bias_), copy(scale_), copy(shift_)};
  }
  const ConvolutionWeights weights = fold_batch_norm(
      weight_.detach(),
      bias_,
      {running_mean_, running_variance_, scale_.detach(), shift_.detach(), kEpsilon});
  return {weights.weight.contiguous(format), weights.bias, {}, {}};
}

ConvBlock::ConvBlock(const ConvBlockConfig& config) : config_(config) {
  ConvBlockConfig unit = config;
  for (int i = 0; i < config.convolutions; ++i) {
    units_.push_back(
        register_module("unit_" + std::to_string(i), std::make_shared<ConvUnit>(unit)));
    unit.in_channels = config.out_channels;
  }
}

at::Tensor ConvBlock::forward(at::Tensor x) {
  for (const auto& unit : units_) x = unit->forward(x);
  return config_.dropout > 0.0 ? at::feature_dropout(x, config_.dropout, is_training()) : x;
}

UpConvolution::UpConvolution(int dimensions,
                             std::int64_t in_channels,
                             std::int64_t out_channels,
                             bool isotropic)
    : dimensions_(dimensions), isotropic_(isotropic) {
  at::Tensor weight = torch::empty(kernel_shape(in_channels, out_channels, 2, dimensions));
  // Every output voxel sums over in_channels values, so this is the fan-in of He's rule (gain 1: no
  // activation follows).
  torch::nn::init::normal_(weight, 0.0, 1.0 / std::sqrt(static_cast<double>(in_channels)));
  if (isotropic) weight = isotropic_kernel(weight) * std::sqrt(taps_per_distance(2, dimensions));
  weight_ = register_parameter("weight", weight);
  bias_ = register_parameter("bias", torch::zeros({out_channels}));
}

at::Tensor UpConvolution::forward(const at::Tensor& x) {
  const ConvolutionWeights pointwise =
      pointwise_from_transposed(isotropic_ ? isotropic_kernel(weight_) : weight_, bias_);
  return spread_blocks(convolve(x, pointwise.weight, pointwise.bias, 0), bias_.size(0));
}

at::Tensor max_pool_2(const at::Tensor& x) {
  if (x.dim() == 4) return at::max_pool2d(x, 2);
  // LibTorch 1.13 has no bfloat16 max_pool3d on the CPU.
  const bool cast = x.is_cpu() && x.scalar_type() == at::kBFloat16;
  return cast ? at::max_pool3d(x.to(at::kFloat), 2).to(at::kBFloat16) : at::max_pool3d(x, 2);
}

at::Tensor mean_pool_2(const at::Tensor& x) {
  if (x.dim() == 4) return at::avg_pool2d(x, 2);
  const bool cast = x.is_cpu() && x.scalar_type() == at::kBFloat16;
  return cast ? at::avg_pool3d(x.to(at::kFloat), 2).to(at::kBFloat16) : at::avg_pool3d(x, 2);
}

}  // namespace triptych
