// SPDX-License-Identifier: Apache-2.0
#include "framework/core/nn.h"
#include "framework/core/torch_compat.h"
#include "framework/model/head.h"
#include "framework/model/reconstruction_problem.h"

namespace triptych {
namespace {

/// Filtered back projection, then the shared network as a correction (FBPConvNet; Jin et al. 2017,
/// IEEE Trans. Image Process. 26:4509).
///
/// Role `projections` [N, 1, D, A, W] -> [N, 1, D, H, W] on the projections' grid, in 1/cm or the
/// unit that the projections imply. With metal, the role `metal` too: the network corrects the
/// reconstruction whose trace was completed, and sees ReconstructionProblem::with_metal_seen, three
/// channels of the modality `reconstruction`. Starts as the identity.
class FbpUnetHead final : public Head {
 public:
  struct Config {
    MetalSetup metal;
    void visit(auto& field) { field("metal", metal, "projections behind metal"); }
  };

  FbpUnetHead(const Config& config, const PyramidSpec& in)
      : config_(config),
        pyramid_(in),
        correction_(register_module(
            "correction",
            torch::nn::Conv3d(torch::nn::Conv3dOptions(in.level(0).channels, 1, 1)))) {
    torch::nn::init::zeros_(correction_->weight);
    torch::nn::init::zeros_(correction_->bias);
  }

  Prediction forward(HeadInputs& inputs) override {
    at::Tensor start, seen;
    const ReconstructionProblem problem = [&] {
      const FullPrecision full(inputs.batch().at("projections").data.device());
      ReconstructionProblem made(inputs.batch(), config_.metal, cache_);
      start = seen = made.fbp(made.completed());
      if (config_.metal.any()) seen = made.with_metal_seen(start, made.metal_artifacts(start));
      return made;
    }();
    const at::Tensor image =
        start + correction_(finest_features(inputs, seen, "reconstruction", pyramid_));
    return Prediction::intensity(problem.in_own_unit(image));
  }
  std::int64_t out_channels() const override { return 1; }
  std::vector<std::string> roles() const override { return config_.metal.roles(); }
  std::map<std::string, std::int64_t> encodes() const override {
    return {
        {"reconstruction", config_.metal.any() ? ReconstructionProblem::kMetalSeenChannels : 1}};
  }

 private:
  Config config_;
  PyramidSpec pyramid_;
  torch::nn::Conv3d correction_;
  ScanOperatorCache cache_;
};

}  // namespace
TRIPTYCH_REGISTER_HEAD("fbp_unet", FbpUnetHead)
}  // namespace triptych
