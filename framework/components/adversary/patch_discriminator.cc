// SPDX-License-Identifier: Apache-2.0
#include "framework/core/error.h"
#include "framework/core/nn.h"
#include "framework/core/shape.h"
#include "framework/learn/adversary.h"

#include <algorithm>

namespace triptych {
namespace {

/// Scores overlapping patches of images as real (a target) or made (a prediction): strided
/// convolutions without normalisation, as PatchGAN (Isola et al., CVPR 2017).
///
/// With D real and made scores and means over all patches: `hinge` (Lim and Ye, 2017): own loss
/// mean max(0, 1 - D(real)) + mean max(0, 1 + D(made)); `wgan_gp` (Gulrajani et al., NeurIPS 2017):
/// mean D(made) - mean D(real) + gradient_penalty mean (|grad D| - 1)^2 at random points between
/// both. The network that predicts is to lower - mean D(made). Images [N, C, D, H, W] of C =
/// TaskContext::head_channels.
class PatchDiscriminator final : public Adversary {
 public:
  struct Config {
    std::string target = "clean";
    std::string loss = "hinge";
    double gradient_penalty = 10.0;
    std::int64_t width = 32;
    std::int64_t layers = 3;
    std::int64_t dimensions = 2;

    void visit(auto& field) {
      field("target", target, "role of the real images");
      field("loss", loss, "what the adversary minimises", config::OneOf{"hinge", "wgan_gp"});
      field("gradient_penalty",
            gradient_penalty,
            "weight of the gradient penalty of wgan_gp",
            config::AtLeast{0.0});
      field("width",
            width,
            "channels of the first layer; each further one doubles them",
            config::AtLeast{1});
      field("layers", layers, "convolutions of stride 2 before the scores", config::Between{1, 6});
      field("dimensions",
            dimensions,
            "2 = convolutions in the slice, 3 = in the volume",
            config::Between{2, 3});
    }
  };

  PatchDiscriminator(const Config& config, const TaskContext& context) : config_(config) {
    std::int64_t channels = context.head_channels;
    for (std::int64_t i = 0; i < config.layers; ++i) {
      const std::int64_t width = config.width << i;
      add_convolution(channels, width, 2);
      channels = width;
    }
    add_convolution(channels, 1, 1);
  }

  at::Tensor generator_loss(const Prediction& prediction, const Batch& batch) override {
    check_pair(prediction.value, real_images(batch));
    return -scores(prediction.value).mean();
  }

  at::Tensor own_loss(const Prediction& detached, const Batch& batch) override {
    const at::Tensor& made = detached.value;
    const at::Tensor real = real_images(batch);
    check_pair(made, real);
    if (config_.loss == "hinge")
      return torch::relu(1.0 - scores(real)).mean() + torch::relu(1.0 + scores(made)).mean();
    return scores(made).mean() - scores(real).mean() +
           config_.gradient_penalty * slope_penalty(made, real);
  }

  /// [N, C, D, H, W] -> [N, 1, d, h, w].
  at::Tensor scores(const at::Tensor& images) override {
    at::Tensor x = images;
    for (std::size_t i = 0; i + 1 < convolutions_.size(); ++i)
      x = torch::leaky_relu(convolutions_[i](x), kSlope);
    return convolutions_.back()(x);
  }

 private:
  static constexpr double kSlope = 0.2;  ///< of the leaky ReLU

  void add_convolution(std::int64_t in, std::int64_t out, std::int64_t stride) {
    const bool volume = config_.dimensions == 3;
    const auto along = [&](std::int64_t in_volume, std::int64_t in_slice) {
      return volume ? in_volume : in_slice;
    };
    const std::int64_t kernel = stride == 2 ? 4 : 3;
    auto options = torch::nn::Conv3dOptions(in, out, {along(kernel, 1), kernel, kernel})
                       .stride({along(stride, 1), stride, stride})
                       .padding({along(1, 0), 1, 1});
    convolutions_.push_back(register_module(fmt::format("convolution_{}", convolutions_.size()),
                                            torch::nn::Conv3d(options)));
  }

  at::Tensor slope_penalty(const at::Tensor& made, const at::Tensor& real) {
    const at::Tensor part = torch::rand({made.size(0), 1, 1, 1, 1}, made.options());
    const at::Tensor between = (part * real + (1.0 - part) * made).detach().requires_grad_(true);
    const at::Tensor gradient = torch::autograd::grad({scores(between).mean({1, 2, 3, 4}).sum()},
                                                      {between},
                                                      {},
                                                      /*retain_graph=*/true,
                                                      /*create_graph=*/true)[0];
    // The square root has no finite slope at 0.
    const at::Tensor norm = (gradient.square().sum({1, 2, 3, 4}) + 1e-12).sqrt();
    return (norm - 1.0).square().mean();
  }

  const at::Tensor& real_images(const Batch& batch) const { return batch.at(config_.target).data; }

  void check_pair(const at::Tensor& made, const at::Tensor& real) const {
    check_shape(real, {kAny, kAny, kAny, kAny, kAny}, config_.target);
    check_shape(made,
                {real.size(0), real.size(1), real.size(2), real.size(3), real.size(4)},
                "patch_discriminator: prediction");
    const std::int64_t smallest = std::int64_t{1} << config_.layers;
    for (std::int64_t axis = 5 - config_.dimensions; axis < 5; ++axis) {
      if (made.size(axis) >= smallest) continue;
      throw model_error(
          fmt::format("patch_discriminator: expected images of at least {} voxels along axis {}, "
                      "got {}",
                      smallest,
                      "NCDHW"[axis],
                      made.size(axis)),
          "lower the adversary's layers, or set dimensions to 2 for slices");
    }
  }

  Config config_;
  std::vector<torch::nn::Conv3d> convolutions_;
};

}  // namespace
TRIPTYCH_REGISTER_ADVERSARY("patch_discriminator", PatchDiscriminator)
}  // namespace triptych
