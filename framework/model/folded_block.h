// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/model/conv_block.h"
#include "framework/ops/mish_kernel.h"
#include "framework/ops/winograd.h"

#include <memory>
#include <optional>
#include <vector>

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

namespace triptych {

/// Inference forms of the blocks in conv_block.h: equal results within rounding, no gradients, no
/// shared storage. They own buffers, not parameters, so `to(device)` moves them and an optimiser
/// does not see them.

/// Convolution with the batch normalisation folded in; bias and activation in one pass over its
/// output. Float32 images on the CPU go through Winograd's algorithm where it serves, everything
/// else through LibTorch.
class FoldedUnit final : public torch::nn::Module {
 public:
  explicit FoldedUnit(const ConvUnit& unit);
  at::Tensor forward(const at::Tensor& x);

 private:
  Activation activation_;
  at::Tensor weight_, bias_;
  at::Tensor scale_, shift_;  ///< of an instance normalisation
  std::optional<WinogradConvolution> winograd_;
};

class FoldedBlock final : public torch::nn::Module {
 public:
  explicit FoldedBlock(const ConvBlock& block);
  at::Tensor forward(at::Tensor x);

 private:
  std::vector<std::shared_ptr<FoldedUnit>> units_;
};

/// Transposed convolution as a pointwise one, its values written straight behind the skip's
/// channels.
class FoldedUp final : public torch::nn::Module {
 public:
  explicit FoldedUp(const UpConvolution& up);
  /// skip [N, A, (2D,) 2H, 2W], x [N, in, (D,) H, W] -> [N, A + out, (2D,) 2H, 2W]
  at::Tensor forward(const at::Tensor& skip, const at::Tensor& x);

 private:
  at::Tensor weight_, bias_;
};

at::Tensor folded_max_pool(const at::Tensor& x);

}  // namespace triptych
