// SPDX-License-Identifier: Apache-2.0
// Instance optimisation of a pair of 160 x 192 x 224 voxels on a grid of 2 voxels, beside the same
// written in LibTorch's operations (pooling, grid_sampler, autograd, Adam; ConvexAdam's formulas);
// the argument is the number of iterations. epe_voxel is the mean distance from the known
// displacement, in voxels of the image, over the inner part of the volume.
#include "framework/core/nn.h"
#include "framework/ops/convex_search.h"
#include "framework/ops/mind.h"
#include "framework/ops/warp.h"
#include "framework/registration/instance_optimisation.h"

#include <benchmark/benchmark.h>
#include <torch/optim/adam.h>

namespace triptych::benchmarks {
namespace {

const WarpOptions kRepeatEdge{WarpInterpolation::kLinear, WarpPadding::kEdge};

struct Problem {
  Problem() {
    const at::NoGradGuard no_grad;
    Geometry image;
    image.shape = {160, 192, 224};
    const auto smooth = [&](std::int64_t channels, std::int64_t cell) {
      return at::upsample_trilinear3d(
          at::randn({1, channels, 160 / cell, 192 / cell, 224 / cell}), image.shape, true);
    };
    at::manual_seed(3);
    const at::Tensor moving = smooth(1, 4) + 0.5 * smooth(1, 8);
    const at::Tensor truth = 2.5 * smooth(3, 32);
    const at::Tensor fixed = warp_voxels(moving, truth, kRepeatEdge);
    const at::Tensor fixed_features = mind_ssc(fixed), moving_features = mind_ssc(moving);
    grid = pooled_grid(image, {2, 2, 2});
    pair.fixed = at::avg_pool3d(fixed_features, 2);
    pair.moving = at::avg_pool3d(moving_features, 2);
    start =
        0.5 * resample_to_grid(convex_search(fixed_features, moving_features, image), image, grid);
    displacement = 0.5 * resample_to_grid(truth, image, grid);
  }

  double endpoint_error(const at::Tensor& field) const {
    const at::Tensor error = (field - displacement).square().sum(1).sqrt();
    return 2.0 * error.slice(1, 8, -8).slice(2, 8, -8).slice(3, 8, -8).mean().item<double>();
  }

  Geometry grid;
  FeaturePair pair;
  at::Tensor start, displacement;  ///< in voxels of the grid
};

const Problem& problem() {
  static const Problem held;
  return held;
}

at::Tensor descend_with_torch(const Problem& p, std::int64_t iterations) {
  const at::AutoGradMode with_gradients(true);
  const Index3& shape = p.grid.shape;
  const at::Tensor identity = at::affine_grid_generator(
      at::eye(3, 4).unsqueeze(0), {1, 1, shape[0], shape[1], shape[2]}, true);
  const at::Tensor scale = at::tensor({2.0F / static_cast<float>(shape[2] - 1),
                                       2.0F / static_cast<float>(shape[1] - 1),
                                       2.0F / static_cast<float>(shape[0] - 1)});
  const at::Tensor field = p.start.clone().set_requires_grad(true);
  torch::optim::Adam adam({field}, torch::optim::AdamOptions(1.0));
  const auto smoothed = [&] {
    at::Tensor u = field;
    for (int k = 0; k < 3; ++k) u = at::avg_pool3d(u, 3, 1, 1);
    return u;
  };
  for (std::int64_t i = 0; i < iterations; ++i) {
    adam.zero_grad();
    const at::Tensor u = smoothed().permute({0, 2, 3, 4, 1});
    at::Tensor roughness = at::zeros({});
    for (std::int64_t axis = 1; axis < 4; ++axis) {
      const std::int64_t last = u.size(axis) - 1;
      roughness = roughness + (u.narrow(axis, 1, last) - u.narrow(axis, 0, last)).square().mean();
    }
    const at::Tensor seen = at::grid_sampler(p.pair.moving, identity + u * scale, 0, 1, true);
    const at::Tensor distance = (seen - p.pair.fixed).square().mean() * 12.0;
    (distance + 1.25 * roughness).backward();
    adam.step();
  }
  return smoothed().detach();
}

template <class Descend>
void run(benchmark::State& state, Descend descend) {
  const Problem& p = problem();
  at::Tensor field;
  for (auto _ : state) field = descend(p, state.range(0));
  state.counters["epe_voxel"] = p.endpoint_error(field);
  state.counters["epe_before"] = p.endpoint_error(p.start);
}

void kernel(benchmark::State& state) {
  run(state, [](const Problem& p, std::int64_t iterations) {
    InstanceOptions options;
    options.iterations = iterations;
    return optimise_displacement(p.pair, p.start, p.grid, options);
  });
}

void torch_operations(benchmark::State& state) { run(state, descend_with_torch); }

void iterations(benchmark::internal::Benchmark* bench) {
  bench->ArgName("iterations")
      ->Arg(2)
      ->Arg(80)
      ->Iterations(1)
      ->Unit(benchmark::kMillisecond)
      ->MeasureProcessCPUTime()
      ->UseRealTime();
}

BENCHMARK(kernel)->Apply(iterations);
BENCHMARK(torch_operations)->Apply(iterations);

}  // namespace
}  // namespace triptych::benchmarks
