// SPDX-License-Identifier: Apache-2.0
#include "framework/core/nn.h"
#include "framework/core/torch_compat.h"
#include "framework/model/head.h"
#include "framework/model/image_pair.h"
#include "framework/ops/mish.h"
#include "framework/ops/velocity.h"
#include "framework/ops/warp.h"

namespace triptych {
namespace {

/// Two convolutions from the features of a pair to an update of its velocity, in voxels of the
/// level. [1, in, D, H, W] -> [1, 3, D, H, W]; the last starts near zero, so that training starts
/// from no displacement.
class VelocityStep final : public torch::nn::Module {
 public:
  VelocityStep(std::int64_t in, std::int64_t width, bool planar)
      : hidden_(convolution("hidden", in, width, planar)),
        velocity_(convolution("velocity", width, 3, planar)) {
    constexpr double kSmall = 1e-5;  // as VoxelMorph's flow layer
    torch::nn::init::normal_(velocity_->weight, 0.0, kSmall);
    torch::nn::init::zeros_(velocity_->bias);
  }
  at::Tensor forward(const at::Tensor& x) { return velocity_(triptych::mish(hidden_(x))); }

 private:
  torch::nn::Conv3d convolution(const char* name, std::int64_t in, std::int64_t out, bool planar) {
    const std::int64_t depth = planar ? 1 : 3;
    return register_module(
        name,
        torch::nn::Conv3d(
            torch::nn::Conv3dOptions(in, out, {depth, 3, 3}).padding({depth / 2, 1, 1})));
  }

  torch::nn::Conv3d hidden_, velocity_;
};

/// Direct regression of a stationary velocity field, coarse to fine: at every level of the pyramid,
/// from the bottleneck up, two convolutions look at the fixed features and at the moving features
/// warped by what is known so far, and correct the velocity (after Balakrishnan et al., VoxelMorph,
/// 2019; Mok and Chung, Large deformation diffeomorphic image registration, MICCAI 2020).
///
/// Roles `fixed`, `moving` -> displacement [N, 3, D, H, W] in mm (LPS), moving_from_fixed, on the
/// fixed grid: the velocity integrated by scaling and squaring, free of folds where the velocity is
/// smooth. extra["velocity"]: at the finest level's grid.
class RegistrationSvfHead final : public Head {
 public:
  struct Config {
    std::int64_t finest_level = 1;
    std::int64_t width = 16;
    std::int64_t integration_steps = 6;
    std::string guided_by;
    std::int64_t guide_classes = 0;

    void visit(auto& field) {
      field("finest_level",
            finest_level,
            "pyramid level of the finest velocity; 0 = full resolution",
            config::AtLeast{0});
      field("width", width, "channels between the two convolutions", config::AtLeast{1});
      field("integration_steps",
            integration_steps,
            "squarings of the velocity",
            config::Between{0, 12});
      field("guided_by",
            guided_by,
            "task that segments the fixed image (also in `reads_from`): its probabilities join the "
            "features; '' = none");
      field("guide_classes",
            guide_classes,
            "classes of that task, background included",
            config::AtLeast{0});
    }
    void validate(config::Problems& problems) const {
      if (guided_by.empty() != (guide_classes == 0))
        problems.add("guide_classes", "expects the classes of the task in `guided_by`, 0 without");
    }
  };

  RegistrationSvfHead(const Config& config, const PyramidSpec& in) : config_(config), pyramid_(in) {
    const bool planar = in.level(in.size() - 1).stride[0] == 1;
    for (std::int64_t level = in.size() - 1; level > config.finest_level; --level)
      add_step(level, planar);
    in.level(config.finest_level);  // tells which levels there are
    add_step(config.finest_level, planar);
  }

  Prediction forward(HeadInputs& inputs) override {
    const FullPrecision full(inputs.batch().at("fixed").data.device());
    std::vector<at::Tensor> displacements, velocities, guidance;
    for (const ImagePair& pair : image_pairs(inputs, pyramid_, config_.guided_by)) {
      const Geometry grid = level_grid(pair.fixed_grid, pyramid_.level(config_.finest_level));
      velocities.push_back(velocity_of(pair));
      displacements.push_back(resample_to_grid(
          integrate_velocity(velocities.back(), grid, steps()), grid, pair.fixed_grid));
      if (pair.guidance.defined()) guidance.push_back(pair.guidance);
    }
    Prediction prediction = Prediction::displacement(torch::cat(displacements));
    prediction.frame = inputs.batch().at("fixed").frame;
    prediction.extra["velocity"] = torch::cat(velocities);
    if (!guidance.empty()) prediction.extra["guidance"] = torch::cat(guidance);
    return prediction;
  }
  std::int64_t out_channels() const override { return 3; }
  std::vector<std::string> roles() const override { return {"fixed", "moving"}; }

 private:
  void add_step(std::int64_t level, bool planar) {
    const std::int64_t in = 2 * pyramid_.level(level).channels + config_.guide_classes;
    steps_[level] = register_module("level_" + std::to_string(level),
                                    std::make_shared<VelocityStep>(in, config_.width, planar));
  }
  int steps() const { return static_cast<int>(config_.integration_steps); }

  /// On the grid of the finest level, in mm.
  at::Tensor velocity_of(const ImagePair& pair) {
    at::Tensor velocity;
    Geometry grid;
    for (auto step = steps_.rbegin(); step != steps_.rend(); ++step) {
      const std::int64_t level = step->first;
      const Geometry finer = level_grid(pair.fixed_grid, pyramid_.level(level));
      at::Tensor known;
      if (velocity.defined()) {
        velocity = resample_to_grid(velocity, grid, finer);
        known = integrate_velocity(velocity, finer, steps());
      }
      std::vector<at::Tensor> seen{pair.fixed.level(level),
                                   pair.moving_on_fixed(level, pyramid_, known)};
      if (pair.guidance.defined())
        seen.push_back(resample_to_grid(pair.guidance, pair.fixed_grid, finer));
      const at::Tensor update = mm_in_grid(step->second->forward(torch::cat(seen, 1)), finer);
      velocity = velocity.defined() ? velocity + update : update;
      grid = finer;
    }
    return velocity;
  }

  Config config_;
  PyramidSpec pyramid_;
  std::map<std::int64_t, std::shared_ptr<VelocityStep>> steps_;  ///< by level
};

}  // namespace
TRIPTYCH_REGISTER_HEAD("registration_svf", RegistrationSvfHead)
}  // namespace triptych
