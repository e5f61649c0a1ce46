// SPDX-License-Identifier: Apache-2.0
// Sampling of a displaced volume and its gradients, beside LibTorch's grid_sampler with the grid it
// needs; the argument is the edge of the cube.
#include "framework/core/nn.h"
#include "framework/ops/warp.h"

#include <benchmark/benchmark.h>

namespace triptych::benchmarks {
namespace {

struct Setup {
  explicit Setup(const benchmark::State& state, std::int64_t channels = 1)
      : edge(state.range(0)), image(at::rand({1, channels, edge, edge, edge})) {
    const at::Tensor coarse = 6.0 * at::randn({1, 3, 8, 8, 8});
    field = at::upsample_trilinear3d(coarse, {edge, edge, edge}, true);
    std::vector<at::Tensor> axes;
    for (std::int64_t axis = 0; axis < 3; ++axis) {
      std::vector<std::int64_t> shape(3, 1);
      shape[static_cast<std::size_t>(2 - axis)] = edge;
      axes.push_back(at::arange(edge, at::kFloat).view(shape).expand({edge, edge, edge}));
    }
    identity = at::stack(axes, 0).unsqueeze(0);
  }
  at::Tensor grid_sampler(const at::Tensor& from, const at::Tensor& u) const {
    const at::Tensor grid =
        ((identity + u) * (2.0 / static_cast<double>(edge - 1)) - 1.0).permute({0, 2, 3, 4, 1});
    return at::grid_sampler(from, grid, 0, 0, true);
  }
  std::int64_t edge;
  at::Tensor image, field, identity;
};

void warp_linear(benchmark::State& state) {
  const at::NoGradGuard no_grad;
  const Setup s(state);
  for (auto _ : state) benchmark::DoNotOptimize(warp_voxels(s.image, s.field).data_ptr());
}

void warp_cubic(benchmark::State& state) {
  const at::NoGradGuard no_grad;
  const Setup s(state);
  const WarpOptions options{WarpInterpolation::kCubic, WarpPadding::kZero};
  for (auto _ : state) benchmark::DoNotOptimize(warp_voxels(s.image, s.field, options).data_ptr());
}

void torch_linear(benchmark::State& state) {
  const at::NoGradGuard no_grad;
  const Setup s(state);
  for (auto _ : state) benchmark::DoNotOptimize(s.grid_sampler(s.image, s.field).data_ptr());
}

/// Forward and both gradients.
template <class Sample>
void step(benchmark::State& state, Sample sample) {
  const Setup s(state);
  const at::Tensor image = s.image.clone().set_requires_grad(true);
  const at::Tensor field = s.field.clone().set_requires_grad(true);
  for (auto _ : state) {
    image.mutable_grad() = at::Tensor();
    field.mutable_grad() = at::Tensor();
    sample(s, image, field).sum().backward();
    benchmark::DoNotOptimize(field.grad().data_ptr());
  }
}

void warp_step(benchmark::State& state) {
  step(state, [](const Setup&, const at::Tensor& image, const at::Tensor& field) {
    return warp_voxels(image, field);
  });
}

void torch_step(benchmark::State& state) {
  step(state, [](const Setup& s, const at::Tensor& image, const at::Tensor& field) {
    return s.grid_sampler(image, field);
  });
}

void sizes(benchmark::internal::Benchmark* bench) {
  bench->ArgName("edge")
      ->Arg(128)
      ->Unit(benchmark::kMillisecond)
      ->MeasureProcessCPUTime()
      ->UseRealTime();
}

BENCHMARK(warp_linear)->Apply(sizes);
BENCHMARK(torch_linear)->Apply(sizes);
BENCHMARK(warp_cubic)->Apply(sizes);
BENCHMARK(warp_step)->Apply(sizes);
BENCHMARK(torch_step)->Apply(sizes);

}  // namespace
}  // namespace triptych::benchmarks
