// SPDX-License-Identifier: Apache-2.0
#include "framework/core/nn.h"
#include "framework/core/torch_compat.h"
#include "framework/model/head.h"
#include "framework/model/reconstruction_problem.h"

namespace triptych {
namespace {

/// Reconstruction beside metal: the shared network makes a prior image, normalised interpolation
/// (NMAR) completes the projections with it, and they are reconstructed; several rounds with the
/// same weights (after Zhang and Yu 2018, IEEE Trans. Med. Imaging 37:1370, there with one
/// round and a separate network).
///
/// Roles `projections` [N, 1, D, A, W] and `metal` -> [N, 1, D, H, W] on the projections' grid, in
/// 1/cm or the unit that the projections imply; the priors are the iterates. Measured values
/// outside the metal's shadow are never changed.
class MetalPriorHead final : public Head {
 public:
  struct Config {
    std::int64_t rounds = 1;
    bool corrects = false;
    MetalSetup metal{"nmar"};

    void visit(auto& field) {
      field(
          "rounds", rounds, "times that a prior completes the projections", config::Between{1, 10});
      field("corrects",
            corrects,
            "the network also corrects the last reconstruction, and with it what has nothing to do "
            "with metal");
      field("metal", metal, "projections behind metal");
    }
    void validate(config::Problems& problems) const {
      if (!metal.any()) problems.add("metal.completion", "expects li or nmar");
    }
  };

  MetalPriorHead(const Config& config, const PyramidSpec& in)
      : config_(config), pyramid_(in), prior_(register_module("prior", correction(in))) {
    if (config.corrects) last_ = register_module("last", correction(in));
  }

  Prediction forward(HeadInputs& inputs) override {
    const FullPrecision full(inputs.batch().at("projections").data.device());
    const ReconstructionProblem problem(inputs.batch(), config_.metal, cache_);
    at::Tensor image = problem.fbp(problem.completed());
    const at::Tensor artifacts = problem.metal_artifacts(image);
    const auto corrected = [&](torch::nn::Conv3d& by) {
      const at::Tensor seen = problem.with_metal_seen(image, artifacts);
      return image + by(finest_features(inputs, seen, "reconstruction", pyramid_));
    };
    std::map<std::string, at::Tensor> priors;
    for (std::int64_t round = 0; round < config_.rounds; ++round) {
      const at::Tensor prior = corrected(prior_);
      priors["iterate_" + std::to_string(round)] = problem.in_own_unit(prior);
      image = problem.fbp(problem.completed_with(prior));
    }
    if (config_.corrects) image = corrected(last_);
    Prediction prediction = Prediction::intensity(problem.in_own_unit(image));
    prediction.extra = std::move(priors);
    return prediction;
  }
  std::int64_t out_channels() const override { return 1; }
  std::vector<std::string> roles() const override { return config_.metal.roles(); }
  std::map<std::string, std::int64_t> encodes() const override {
    return {{"reconstruction", ReconstructionProblem::kMetalSeenChannels}};
  }

 private:
  /// Starts as no correction.
  static torch::nn::Conv3d correction(const PyramidSpec& in) {
    torch::nn::Conv3d made(torch::nn::Conv3dOptions(in.level(0).channels, 1, 1));
    torch::nn::init::zeros_(made->weight);
    torch::nn::init::zeros_(made->bias);
    return made;
  }

  Config config_;
  PyramidSpec pyramid_;
  torch::nn::Conv3d prior_, last_{nullptr};
  ScanOperatorCache cache_;
};

}  // namespace
TRIPTYCH_REGISTER_HEAD("metal_prior", MetalPriorHead)
}  // namespace triptych
