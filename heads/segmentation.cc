// SPDX-License-Identifier: Apache-2.0
#include "framework/core/nn.h"
#include "framework/model/head.h"

namespace triptych {
namespace {

/// Voxel-wise class logits from the finest feature map.
/// features of role "image" at level 0 [N, C, D, H, W] -> logits [N, num_classes, D, H, W]; no
/// softmax.
class SegmentationHead final : public Head {
 public:
  struct Config {
    std::int64_t num_classes = 0;
    double dropout = 0.0;
    void visit(auto& field) {
      field("num_classes",
            num_classes,
            "classes including background",
            config::Need::kRequired,
            config::AtLeast{2});
      field("dropout", dropout, "channel dropout probability", config::Between{0.0, 1.0});
    }
  };

  SegmentationHead(const Config& config, const PyramidSpec& in)
      : num_classes_(config.num_classes),
        dropout_(register_module("dropout", torch::nn::Dropout3d(config.dropout))),
        logits_(register_module("logits",
                                torch::nn::Conv3d(torch::nn::Conv3dOptions(
                                    in.level(0).channels, config.num_classes, 1)))) {}

  Prediction forward(HeadInputs& inputs) override {
    return Prediction::logits(logits_(dropout_(inputs.features("image").level(0))));
  }
  std::int64_t out_channels() const override { return num_classes_; }

 private:
  std::int64_t num_classes_;
  torch::nn::Dropout3d dropout_;
  torch::nn::Conv3d logits_;
};

}  // namespace
TRIPTYCH_REGISTER_HEAD("segmentation", SegmentationHead)
}  // namespace triptych
