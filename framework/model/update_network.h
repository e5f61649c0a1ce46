// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include <torch/nn/module.h>
#include <torch/nn/modules/conv.h>

namespace triptych {

/// Three 3 x 3 convolutions in the plane with ReLU between them: the learned step of an unrolled
/// reconstruction (Adler and Oktem 2018). [N, in, D, H, W] -> [N, out, D, H, W]; D only counts
/// slices. The last convolution starts at a tenth of the usual weights, so that the first steps are
/// small.
class UpdateNetwork : public torch::nn::Module {
 public:
  UpdateNetwork(std::int64_t in, std::int64_t width, std::int64_t out);
  at::Tensor forward(const at::Tensor& x);
  /// Output channel 0 starts as zero; the others as usual.
  void start_without_update();

 private:
  torch::nn::Conv2d first_, second_, last_;
};

}  // namespace triptych
