// SPDX-License-Identifier: Apache-2.0
#include "framework/core/error.h"
#include "framework/core/nn.h"
#include "framework/model/head.h"

namespace triptych {
namespace {

/// An image from the finest feature map, by default as a correction that is added to the input.
/// features of role "image" at level 0 [N, C, D, H, W] -> [N, channels, D, H, W], in the grey
/// values of the input. Of a slab, the central slice is restored. A residual head starts as the
/// identity: its weights are zero.
class RestorationHead final : public Head {
 public:
  struct Config {
    std::int64_t channels = 1;
    bool residual = true;
    void visit(auto& field) {
      field("channels", channels, "channels of the restored image", config::AtLeast{1});
      field("residual",
            residual,
            "the network predicts what to add to the input image, which then has as many channels");
    }
  };

  RestorationHead(const Config& config, const PyramidSpec& in)
      : config_(config),
        image_(register_module("image",
                               torch::nn::Conv3d(torch::nn::Conv3dOptions(
                                   in.level(0).channels, config.channels, 1)))) {
    if (!config.residual) return;
    torch::nn::init::zeros_(image_->weight);
    torch::nn::init::zeros_(image_->bias);
  }

  Prediction forward(HeadInputs& inputs) override {
    const at::Tensor value = image_(inputs.features("image").level(0));
    if (!config_.residual) return Prediction::intensity(value);
    return Prediction::intensity(input_image(inputs, value.size(2)) + value);
  }
  std::int64_t out_channels() const override { return config_.channels; }

 private:
  /// The `depth` central slices of the role "image".
  at::Tensor input_image(HeadInputs& inputs, std::int64_t depth) const {
    const at::Tensor& image = inputs.batch().at("image").data;
    if (image.size(1) != config_.channels) {
      throw model_error(
          fmt::format("head restoration: a residual of {} channels cannot be added to images of {}",
                      config_.channels,
                      image.size(1)),
          "set the head's channels to those of the image, or residual to false");
    }
    return image.narrow(2, (image.size(2) - depth) / 2, depth);
  }

  Config config_;
  torch::nn::Conv3d image_;
};

}  // namespace
TRIPTYCH_REGISTER_HEAD("restoration", RestorationHead)
}  // namespace triptych
