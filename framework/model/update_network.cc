// SPDX-License-Identifier: Apache-2.0
#include "framework/model/update_network.h"

#include "framework/core/nn.h"

namespace triptych {
namespace {

constexpr double kFirstStep = 0.1;

torch::nn::Conv2d convolution(std::int64_t in, std::int64_t out) {
  return torch::nn::Conv2d(torch::nn::Conv2dOptions(in, out, 3).padding(1));
}

}  // namespace

UpdateNetwork::UpdateNetwork(std::int64_t in, std::int64_t width, std::int64_t out)
    : first_(register_module("first", convolution(in, width))),
      second_(register_module("second", convolution(width, width))),
      last_(register_module("last", convolution(width, out))) {
  const torch::NoGradGuard no_grad;
  last_->weight.mul_(kFirstStep);
  last_->bias.zero_();
}

at::Tensor UpdateNetwork::forward(const at::Tensor& x) {
  const at::Tensor slices =
      x.transpose(1, 2).flatten(0, 1).contiguous(at::MemoryFormat::ChannelsLast);
  const at::Tensor y = last_(torch::relu(second_(torch::relu(first_(slices)))));
  return y.unflatten(0, {x.size(0), x.size(2)}).transpose(1, 2);
}

void UpdateNetwork::start_without_update() {
  const torch::NoGradGuard no_grad;
  last_->weight[0].zero_();
  last_->bias[0].zero_();
}

}  // namespace triptych
