// SPDX-License-Identifier: Apache-2.0
#include "framework/model/folded_block.h"

#include "framework/core/nn.h"
#include "framework/ops/channels_last_kernel.h"
#include "framework/ops/fold.h"

#include <string>

namespace triptych {
namespace {

at::Tensor convolve(const at::Tensor& x, const at::Tensor& weight) {
  const std::int64_t padding = weight.size(-1) / 2;
  const at::MemoryFormat format = channels_last_format(static_cast<int>(weight.dim()) - 2);
  // A tensor of one channel fits both memory formats, so a first convolution may answer in the
  // wrong one.
  const at::Tensor y = weight.dim() == 4 ? at::conv2d(x.contiguous(format), weight, {}, 1, padding)
                                         : at::conv3d(x.contiguous(format), weight, {}, 1, padding);
  return y.contiguous(format);
}

}  // namespace

FoldedUnit::FoldedUnit(const ConvUnit& unit)
    : activation_(activation_from_text(unit.activation())) {
  const ConvUnit::Folded folded = unit.folded();
  weight_ = register_buffer("weight", folded.weight);
  bias_ = register_buffer("bias", folded.bias);
  scale_ = register_buffer("scale", folded.scale);
  shift_ = register_buffer("shift", folded.shift);
  if (!scale_.defined() && WinogradConvolution::serves(weight_)) winograd_.emplace(weight_);
}

at::Tensor FoldedUnit::forward(const at::Tensor& x) {
  const torch::NoGradGuard no_grad;
  if (winograd_ && x.is_cpu() && x.scalar_type() == at::kFloat)
    return winograd_->forward(x, bias_, activation_);
  at::Tensor y = convolve(x, weight_);
  if (scale_.defined()) y = instance_normalise(y, scale_, shift_);
  add_bias_activate_(y, bias_, activation_);
  return y;
}

FoldedBlock::FoldedBlock(const ConvBlock& block) {
  for (const auto& unit : block.units()) {
    units_.push_back(register_module("unit_" + std::to_string(units_.size()),
                                     std::make_shared<FoldedUnit>(*unit)));
  }
}

at::Tensor FoldedBlock::forward(at::Tensor x) {
  for (const auto& unit : units_) x = unit->forward(x);
  return x;
}

FoldedUp::FoldedUp(const UpConvolution& up) {
  const torch::NoGradGuard no_grad;
  const at::Tensor weight = up.weight().detach();
  const ConvolutionWeights pointwise = pointwise_from_transposed(weight, up.bias().detach());
  weight_ = register_buffer(
      "weight", pointwise.weight.clone(channels_last_format(static_cast<int>(weight.dim()) - 2)));
  bias_ = register_buffer("bias", up.bias().detach().clone());
}

at::Tensor FoldedUp::forward(const at::Tensor& skip, const at::Tensor& x) {
  const torch::NoGradGuard no_grad;
  return join_skip(skip, convolve(x, weight_), bias_);
}

at::Tensor folded_max_pool(const at::Tensor& x) {
  return x.dim() == 4 ? max_pool_2x2(x) : max_pool_2(x);
}

}  // namespace triptych
