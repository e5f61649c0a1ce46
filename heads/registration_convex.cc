// SPDX-License-Identifier: Apache-2.0
#include "framework/core/error.h"
#include "framework/core/nn.h"
#include "framework/core/torch_compat.h"
#include "framework/model/head.h"
#include "framework/model/image_pair.h"
#include "framework/ops/box_filter.h"
#include "framework/ops/convex_search.h"
#include "framework/ops/cost_volume.h"
#include "framework/ops/warp.h"

#include <cmath>

namespace triptych {
namespace {

/// Means over the voxels of 3^3 that exist, [1, C, D, H, W].
at::Tensor smoothed(const at::Tensor& x) {
  const Index3 radius = window_radius(x, 1);
  const at::Tensor ones = torch::ones({1, 1, x.size(2), x.size(3), x.size(4)}, x.options());
  return box_sum(x, radius) / box_sum(ones, radius);
}

/// Learned features, aligned by a differentiable coupled convex search: a 1x1x1 convolution makes
/// descriptors of unit length, their squared differences fill a cost volume over a coarse grid, and
/// the displacement is the expected one under softmax(-cost), drawn towards its smoothed self in
/// some rounds (after Heinrich et al. 2014 and Siebert, Hansen and Heinrich, ConvexAdam, 2021-2024,
/// whose arg-min it replaces). How sharp the softmax is and how strongly a round couples are
/// learned.
///
/// Roles `fixed`, `moving` -> displacement [N, 3, D, H, W] in mm (LPS), moving_from_fixed, on the
/// fixed grid. Reaches half_width * grid_spacing voxels. Memory: (2 half_width + 1)^3 floats for
/// each cell of grid_spacing^3 voxels and each round.
class RegistrationConvexHead final : public Head {
 public:
  struct Config {
    std::int64_t level = 0;
    std::int64_t channels = 16;
    std::int64_t grid_spacing = 4;
    std::int64_t half_width = 3;
    std::vector<double> couplings = {0.03, 0.1, 0.3};
    double sharpness = 10.0;
    bool backward = false;

    void visit(auto& field) {
      field("level", level, "pyramid level of the features", config::AtLeast{0});
      field("channels", channels, "of the descriptors", config::AtLeast{1});
      field("grid_spacing",
            grid_spacing,
            "image voxels between points of the search grid; a multiple of the level's stride",
            config::Between{1, 64});
      field("half_width",
            half_width,
            "largest displacement along an axis, in grid points",
            config::Between{1, 8});
      field("couplings",
            couplings,
            "first weights of the squared distance (in grid points) to the smoothed field, one a "
            "round",
            config::Above{0.0});
      field("sharpness",
            sharpness,
            "first factor of the costs (0 to 4) in the softmax",
            config::Above{0.0});
      field("backward",
            backward,
            "also search fixed_from_moving, for the task's inverse_consistency");
    }
  };

  RegistrationConvexHead(const Config& config, const PyramidSpec& in)
      : config_(config),
        pyramid_(in),
        descriptor_(register_module("descriptor",
                                    torch::nn::Conv3d(torch::nn::Conv3dOptions(
                                        in.level(config.level).channels, config.channels, 1)))) {
    for (const std::int64_t stride : in.level(config.level).stride) {
      if (config.grid_spacing % stride == 0) continue;
      throw ConfigError("schema",
                        fmt::format("head registration_convex: grid_spacing: expected a multiple "
                                    "of the stride {} of level {}, got {}",
                                    stride,
                                    config.level,
                                    config.grid_spacing));
    }
    log_sharpness_ = register_parameter("log_sharpness",
                                        torch::tensor({std::log(config.sharpness)}, torch::kFloat));
    std::vector<double> logs;
    for (const double coupling : config.couplings)
      logs.push_back(std::log(coupling * config.sharpness));
    if (!logs.empty())
      log_couplings_ = register_parameter("log_couplings", torch::tensor(logs, torch::kFloat));
  }

  Prediction forward(HeadInputs& inputs) override {
    const FullPrecision full(inputs.batch().at("fixed").data.device());
    std::vector<at::Tensor> forward, backward;
    for (const ImagePair& pair : image_pairs(inputs, pyramid_)) {
      const Index3 cell = cell_of(pair.fixed_grid);
      const Geometry grid = pooled_grid(pair.fixed_grid, cell);
      const at::Tensor fixed = descriptors(pair.fixed.level(config_.level), cell);
      const at::Tensor moving = descriptors(pair.moving_on_fixed(config_.level, pyramid_), cell);
      const auto aligned = [&](const at::Tensor& from, const at::Tensor& to) {
        return resample_to_grid(mm_in_grid(search(from, to), grid), grid, pair.fixed_grid);
      };
      forward.push_back(aligned(fixed, moving));
      if (config_.backward) backward.push_back(aligned(moving, fixed));
    }
    Prediction prediction = Prediction::displacement(torch::cat(forward));
    prediction.frame = inputs.batch().at("fixed").frame;
    if (config_.backward) prediction.extra["backward"] = torch::cat(backward);
    return prediction;
  }
  std::int64_t out_channels() const override { return 3; }
  std::vector<std::string> roles() const override { return {"fixed", "moving"}; }

 private:
  /// Image voxels of a search cell along D, H, W; an axis of one voxel is not searched.
  Index3 cell_of(const Geometry& image) const {
    Index3 cell;
    for (std::size_t axis = 0; axis < 3; ++axis) {
      cell[axis] = image.shape[axis] == 1 ? 1 : config_.grid_spacing;
      if (image.shape[axis] >= cell[axis]) continue;
      throw shape_error(
          fmt::format("head registration_convex: expected images of at least {} voxels along every "
                      "axis, got {}x{}x{}",
                      cell[axis],
                      image.shape[0],
                      image.shape[1],
                      image.shape[2]),
          "lower grid_spacing");
    }
    return cell;
  }

  /// Unit descriptors, averaged over the cells.
  at::Tensor descriptors(const at::Tensor& features, const Index3& cell) {
    const at::Tensor x = descriptor_(features);
    const at::Tensor unit = x / x.square().sum(1, true).add(1e-8).sqrt();
    const Index3& stride = pyramid_.level(config_.level).stride;
    const std::vector<std::int64_t> window{
        cell[0] / stride[0], cell[1] / stride[1], cell[2] / stride[2]};
    return torch::avg_pool3d(unit, window);
  }

  /// Displacement in grid points, components along W, H, D.
  at::Tensor search(const at::Tensor& from, const at::Tensor& to) {
    const std::int64_t h = config_.half_width;
    const Index3 half{
        from.size(2) == 1 ? 0 : h, from.size(3) == 1 ? 0 : h, from.size(4) == 1 ? 0 : h};
    const at::Tensor candidates = search_displacements(half).to(from.options());
    const at::Tensor costs = smoothed(cost_volume(from, to, half)) * log_sharpness_.exp();
    const at::Tensor lengths = candidates.square().sum(1).view({1, -1, 1, 1, 1});
    at::Tensor field = smoothed(soft_argmin(costs, half));
    for (std::int64_t round = 0; round < rounds(); ++round) {
      // |d - u|^2 without |u|^2, which is the same for all candidates.
      const at::Tensor product = torch::matmul(candidates, field.flatten(2)).view_as(costs);
      const at::Tensor coupling = log_couplings_[round].exp();
      field = smoothed(soft_argmin(costs + coupling * (lengths - 2.0 * product), half));
    }
    return field;
  }
  std::int64_t rounds() const { return static_cast<std::int64_t>(config_.couplings.size()); }

  Config config_;
  PyramidSpec pyramid_;
  torch::nn::Conv3d descriptor_;
  at::Tensor log_sharpness_, log_couplings_;
};

}  // namespace
TRIPTYCH_REGISTER_HEAD("registration_convex", RegistrationConvexHead)
}  // namespace triptych
