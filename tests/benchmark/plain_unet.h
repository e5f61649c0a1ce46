// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "framework/model/backbone.h"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

namespace triptych::benchmarks {

/// A U-net backbone of the framework, its batch statistics as after some training.
std::shared_ptr<Backbone> make_unet(std::int64_t width, std::int64_t depth);

/// The same weights run plainly, as a user of LibTorch would write it: conv2d, batch_norm, mish,
/// max_pool2d, conv_transpose2d and cat on contiguous NCHW tensors. [N, C, H, W] -> level 0 [N,
/// width, H, W]. The yardstick.
class PlainUnet {
 public:
  PlainUnet(const Backbone& net, std::int64_t depth);
  at::Tensor forward(at::Tensor x, bool training) const;
  std::vector<at::Tensor> parameters() const;

 private:
  at::Tensor block(const at::Tensor& x, const std::string& name, bool training) const;

  std::map<std::string, at::Tensor> values_;
  std::int64_t depth_;
};

}  // namespace triptych::benchmarks
