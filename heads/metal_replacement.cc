// SPDX-License-Identifier: Apache-2.0
#include "framework/core/nn.h"
#include "framework/core/torch_compat.h"
#include "framework/model/head.h"
#include "framework/model/reconstruction_problem.h"

namespace triptych {
namespace {

/// Iterative replacement of metal projections, after augmented likelihood image reconstruction
/// (ALIR; Stille et al. 2013, Proc. Fully3D): in every iteration the values behind metal become a
/// learned mixture of the recalculated and the measured ones, the rest stays as measured, and the
/// shared network corrects the filtered back projection.
///
/// LEGAL NOTE. Methods of this kind are the subject of patents and applications, among them
/// US 2017/0150937 A1, DE 10 2014 007 095 and WO 2015/173251. No recipe uses this component. Who
/// names it in a configuration has to find out whether that needs a licence; `metal_prior` and the
/// completions li and nmar do without it.
///
/// Roles `projections` [N, 1, D, A, W] and `metal` -> [N, 1, D, H, W] on the projections' grid, in
/// 1/cm or the unit that the projections imply.
class MetalReplacementHead final : public Head {
 public:
  struct Config {
    std::int64_t iterations = 3;
    MetalSetup metal{"nmar"};

    void visit(auto& field) {
      field("iterations", iterations, "replacements", config::Between{1, 20});
      field("metal", metal, "projections behind metal");
    }
    void validate(config::Problems& problems) const {
      if (!metal.any()) problems.add("metal.completion", "expects li or nmar");
    }
  };

  MetalReplacementHead(const Config& config, const PyramidSpec& in)
      : config_(config),
        pyramid_(in),
        correction_(register_module(
            "correction", torch::nn::Conv3d(torch::nn::Conv3dOptions(in.level(0).channels, 1, 1)))),
        measured_share_(register_parameter("measured_share", torch::full({1}, kFirstLogit))) {
    torch::nn::init::zeros_(correction_->weight);
    torch::nn::init::zeros_(correction_->bias);
  }

  Prediction forward(HeadInputs& inputs) override {
    const FullPrecision full(inputs.batch().at("projections").data.device());
    const ReconstructionProblem problem(inputs.batch(), config_.metal, cache_);
    at::Tensor image = problem.fbp(problem.completed());
    const at::Tensor artifacts = problem.metal_artifacts(image);
    const auto corrected = [&] {
      const at::Tensor seen = problem.with_metal_seen(image, artifacts);
      return image + correction_(finest_features(inputs, seen, "reconstruction", pyramid_));
    };
    const at::Tensor share = torch::sigmoid(measured_share_);
    for (std::int64_t i = 0; i < config_.iterations; ++i) {
      const at::Tensor recalculated = problem.residual_behind_metal(corrected());
      image = problem.fbp(problem.measured() + (1.0 - share) * recalculated);
    }
    return Prediction::intensity(problem.in_own_unit(corrected()));
  }
  std::int64_t out_channels() const override { return 1; }
  std::vector<std::string> roles() const override { return config_.metal.roles(); }
  std::map<std::string, std::int64_t> encodes() const override {
    return {{"reconstruction", ReconstructionProblem::kMetalSeenChannels}};
  }

 private:
  static constexpr double kFirstLogit = -3.0;  ///< measured values behind metal count 5 %

  Config config_;
  PyramidSpec pyramid_;
  torch::nn::Conv3d correction_;
  at::Tensor measured_share_;
  ScanOperatorCache cache_;
};

}  // namespace
TRIPTYCH_REGISTER_HEAD("metal_replacement", MetalReplacementHead)
}  // namespace triptych
