// SPDX-License-Identifier: Apache-2.0
#include "framework/core/nn.h"
#include "framework/model/head.h"

namespace triptych {
namespace {

/// Dense descriptors of unit length, for features that mean the same in every modality.
/// Role `fixed` -> [N, channels, D, H, W] on its grid: a 1x1x1 convolution of a level's features,
/// brought to full resolution and normalised. Where the batch has the role `moving`, its
/// descriptors are in extra["moving"].
class DescriptorHead final : public Head {
 public:
  struct Config {
    std::int64_t channels = 16;
    std::int64_t level = 0;
    void visit(auto& field) {
      field("channels", channels, "of the descriptors", config::AtLeast{2});
      field("level", level, "pyramid level of the features", config::AtLeast{0});
    }
  };

  DescriptorHead(const Config& config, const PyramidSpec& in)
      : config_(config),
        descriptor_(register_module("descriptor",
                                    torch::nn::Conv3d(torch::nn::Conv3dOptions(
                                        in.level(config.level).channels, config.channels, 1)))) {}

  Prediction forward(HeadInputs& inputs) override {
    Prediction prediction = Prediction::intensity(descriptors(inputs, "fixed"));
    prediction.frame = inputs.batch().at("fixed").frame;
    if (inputs.batch().has("moving")) prediction.extra["moving"] = descriptors(inputs, "moving");
    return prediction;
  }
  std::int64_t out_channels() const override { return config_.channels; }
  std::vector<std::string> roles() const override { return {"fixed"}; }

 private:
  at::Tensor descriptors(HeadInputs& inputs, const std::string& role) {
    at::Tensor x = descriptor_(inputs.features(role).level(config_.level)).to(torch::kFloat);
    const at::IntArrayRef size = inputs.batch().at(role).data.sizes().slice(2);
    if (x.sizes().slice(2) != size) x = at::upsample_trilinear3d(x, size, /*align_corners=*/false);
    constexpr double kTiny = 1e-8;
    return x / (x.square().sum(1, true) + kTiny).sqrt();
  }

  Config config_;
  torch::nn::Conv3d descriptor_;
};

}  // namespace
TRIPTYCH_REGISTER_HEAD("descriptor", DescriptorHead)
}  // namespace triptych
