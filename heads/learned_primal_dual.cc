// SPDX-License-Identifier: Apache-2.0
#include "framework/core/nn.h"
#include "framework/core/torch_compat.h"
#include "framework/model/head.h"
#include "framework/model/reconstruction_problem.h"
#include "framework/model/update_network.h"

namespace triptych {
namespace {

/// Learned primal-dual reconstruction (Adler and Oktem 2018, IEEE Trans. Med. Imaging 37:1322): a
/// network in the projections and one in the image take turns, with A and its adjoint between them.
///
/// The image starts as the filtered back projection; projections are multiples of the typical
/// line integral and the adjoint is divided by the row and column sums, so that all are of one
/// order. Role `projections` [N, 1, D, A, W] -> [N, 1, D, H, W] on the projections' grid, in 1/cm
/// or the unit that the projections imply. With metal (role `metal`), the dual networks see the
/// completed projections and where they are.
class LearnedPrimalDualHead final : public Head {
 public:
  struct Config {
    std::int64_t iterations = 6;
    std::int64_t width = 32;
    std::int64_t primal = 5;
    std::int64_t dual = 5;
    bool shared_weights = false;
    MetalSetup metal;

    void visit(auto& field) {
      field("iterations", iterations, "learned steps", config::Between{1, 50});
      field("width", width, "channels of the convolutions", config::AtLeast{1});
      field("primal", primal, "images that pass between iterations", config::Between{2, 64});
      field(
          "dual", dual, "sets of projections that pass between iterations", config::Between{1, 64});
      field("shared_weights", shared_weights, "every iteration uses the same convolutions");
      field("metal", metal, "projections behind metal");
    }
  };

  LearnedPrimalDualHead(const Config& config, const PyramidSpec& /*in*/) : config_(config) {
    const std::int64_t measured = config.metal.any() ? 2 : 1;
    for (std::int64_t i = 0; i < (config.shared_weights ? 1 : config.iterations); ++i) {
      const auto add = [&](const char* name, std::int64_t in, std::int64_t out) {
        return register_module(fmt::format("{}_{}", name, i),
                               std::make_shared<UpdateNetwork>(in, config.width, out));
      };
      dual_.push_back(add("dual", config.dual + 1 + measured, config.dual));
      primal_.push_back(add("primal", config.primal + 1, config.primal));
    }
  }

  Prediction forward(HeadInputs& inputs) override {
    const FullPrecision full(inputs.batch().at("projections").data.device());
    const ReconstructionProblem problem(inputs.batch(), config_.metal, cache_);
    const at::Tensor start = problem.fbp(problem.completed());
    at::Tensor measured = problem.relative(problem.completed());
    at::Tensor dual = torch::zeros_like(measured).repeat({1, config_.dual, 1, 1, 1});
    if (problem.trust().defined()) measured = torch::cat({measured, problem.trust()}, 1);
    at::Tensor primal = start.repeat({1, config_.primal, 1, 1, 1});
    for (std::int64_t i = 0; i < config_.iterations; ++i) {
      const std::size_t own = config_.shared_weights ? 0 : static_cast<std::size_t>(i);
      const at::Tensor seen = problem.relative(problem.project(primal.narrow(1, 1, 1)));
      dual = dual + dual_[own]->forward(torch::cat({dual, seen, measured}, 1));
      const at::Tensor back = problem.step(problem.absolute(dual.narrow(1, 0, 1)));
      primal = primal + primal_[own]->forward(torch::cat({primal, back}, 1));
    }
    return Prediction::intensity(problem.in_own_unit(primal.narrow(1, 0, 1)));
  }
  std::int64_t out_channels() const override { return 1; }
  std::vector<std::string> roles() const override { return config_.metal.roles(); }

 private:
  Config config_;
  std::vector<std::shared_ptr<UpdateNetwork>> dual_, primal_;
  ScanOperatorCache cache_;
};

}  // namespace
TRIPTYCH_REGISTER_HEAD("learned_primal_dual", LearnedPrimalDualHead)
}  // namespace triptych
