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
///
/// With `upsample` [fd, fh, fw] the prediction is [N, channels, fd D, fh H, fw W]: the convolution
/// gives fd fh fw values a voxel, which are laid out side by side (sub-pixel convolution, Shi et
/// al., CVPR 2016), and the correction is added to the trilinearly upsampled input.
class RestorationHead final : public Head {
 public:
  struct Config {
    std::int64_t channels = 1;
    bool residual = true;
    Index3 upsample{1, 1, 1};
    void visit(auto& field) {
      field("channels", channels, "channels of the restored image", config::AtLeast{1});
      field("residual",
            residual,
            "the network predicts what to add to the input image, which then has as many channels");
      field(
          "upsample",
          upsample,
          "voxels of the prediction for each voxel of the image along D, H, W; targets may lie on "
          "any grid and are sampled on the prediction's",
          config::Between{1, 8});
    }
  };

  RestorationHead(const Config& config, const PyramidSpec& in)
      : config_(config),
        image_(register_module("image",
                               torch::nn::Conv3d(torch::nn::Conv3dOptions(
                                   in.level(0).channels, config.channels * parts(config), 1)))) {
    if (!config.residual) return;
    torch::nn::init::zeros_(image_->weight);
    torch::nn::init::zeros_(image_->bias);
  }

  Prediction forward(HeadInputs& inputs) override {
    const at::Tensor value = side_by_side(image_(inputs.features("image").level(0)));
    if (!config_.residual) return Prediction::intensity(value);
    return Prediction::intensity(input_image(inputs, value) + value);
  }
  std::int64_t out_channels() const override { return config_.channels; }
  Index3 upsampling() const override { return config_.upsample; }

 private:
  static std::int64_t parts(const Config& config) {
    return config.upsample[0] * config.upsample[1] * config.upsample[2];
  }

  /// [N, C fd fh fw, D, H, W] -> [N, C, D fd, H fh, W fw].
  at::Tensor side_by_side(const at::Tensor& x) const {
    if (parts(config_) == 1) return x;
    const auto [fd, fh, fw] = config_.upsample;
    const std::int64_t n = x.size(0), d = x.size(2), h = x.size(3), w = x.size(4);
    return x.view({n, config_.channels, fd, fh, fw, d, h, w})
        .permute({0, 1, 5, 2, 6, 3, 7, 4})
        .reshape({n, config_.channels, d * fd, h * fh, w * fw});
  }

  /// The central slices of the role "image", on the grid of `value` [N, C, D, H, W].
  at::Tensor input_image(HeadInputs& inputs, const at::Tensor& value) const {
    const at::Tensor& image = inputs.batch().at("image").data;
    if (image.size(1) != config_.channels) {
      throw model_error(
          fmt::format("head restoration: a residual of {} channels cannot be added to images of {}",
                      config_.channels,
                      image.size(1)),
          "set the head's channels to those of the image, or residual to false");
    }
    const std::int64_t depth = value.size(2) / config_.upsample[0];
    const at::Tensor centre = image.narrow(2, (image.size(2) - depth) / 2, depth);
    return parts(config_) == 1
               ? centre
               : at::upsample_trilinear3d(centre, value.sizes().slice(2), /*align_corners=*/false);
  }

  Config config_;
  torch::nn::Conv3d image_;
};

}  // namespace
TRIPTYCH_REGISTER_HEAD("restoration", RestorationHead)
}  // namespace triptych
