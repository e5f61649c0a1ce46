// SPDX-License-Identifier: Apache-2.0
#include "tests/benchmark/plain_unet.h"

#include "framework/core/nn.h"

namespace triptych::benchmarks {

std::shared_ptr<Backbone> make_unet(std::int64_t width, std::int64_t depth) {
  config::Node node = config::Node::map();
  node.set("name", config::Node("unet"));
  node.set("width", config::Node(width));
  node.set("depth", config::Node(depth));
  at::manual_seed(0);
  auto net = BackboneRegistry::instance().create(node, BackboneInput{1});
  const torch::NoGradGuard no_grad;
  for (auto& item : net->named_buffers()) {
    if (item.key().ends_with("running_mean")) item.value().normal_(0.0, 0.1);
    if (item.key().ends_with("running_variance")) item.value().uniform_(0.5, 1.5);
  }
  for (auto& item : net->named_parameters()) {
    if (item.key().ends_with("shift")) item.value().normal_(0.0, 0.1);
  }
  return net;
}

PlainUnet::PlainUnet(const Backbone& net, std::int64_t depth) : depth_(depth) {
  for (const auto& item : net.named_parameters()) {
    values_[item.key()] =
        item.value().detach().clone(at::MemoryFormat::Contiguous).requires_grad_();
  }
  for (const auto& item : net.named_buffers()) values_[item.key()] = item.value().clone();
}

std::vector<at::Tensor> PlainUnet::parameters() const {
  std::vector<at::Tensor> result;
  for (const auto& [name, value] : values_) {
    if (value.requires_grad()) result.push_back(value);
  }
  return result;
}

at::Tensor PlainUnet::block(const at::Tensor& x, const std::string& name, bool training) const {
  at::Tensor y = x;
  for (const char* unit : {".unit_0.", ".unit_1."}) {
    const auto value = [&](const char* key) { return values_.at(name + unit + key); };
    y = at::conv2d(y, value("weight"), {}, 1, 1);
    y = at::batch_norm(y,
                       value("scale"),
                       value("shift"),
                       value("running_mean"),
                       value("running_variance"),
                       training,
                       0.1,
                       1e-5,
                       false);
    y = at::mish(y);
  }
  return y;
}

at::Tensor PlainUnet::forward(at::Tensor x, bool training) const {
  std::vector<at::Tensor> skips;
  for (std::int64_t level = 0; level < depth_; ++level) {
    skips.push_back(block(x, "encoder_" + std::to_string(level), training));
    x = at::max_pool2d(skips.back(), 2);
  }
  x = block(x, "bottleneck", training);
  for (std::int64_t level = depth_ - 1; level >= 0; --level) {
    const std::string up = "up_" + std::to_string(level);
    x = at::conv_transpose2d(x, values_.at(up + ".weight"), values_.at(up + ".bias"), 2);
    x = block(at::cat({skips.back(), x}, 1), "decoder_" + std::to_string(level), training);
    skips.pop_back();
  }
  return x;
}

}  // namespace triptych::benchmarks
