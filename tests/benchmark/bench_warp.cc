// SPDX-License-Identifier: Apache-2.0
// Sampling of a displaced volume of 160 x 192 x 224 voxels and its gradients, beside LibTorch's
// grid_sampler; torch_linear includes the grid that it needs, torch_sampling does not.
#include "framework/core/nn.h"
#include "framework/ops/warp.h"

#include <benchmark/benchmark.h>

namespace triptych::benchmarks {
namespace {

constexpr std::int64_t kShape[3] = {160, 192, 224};

struct Setup {
  Setup() : image(at::rand({1, 1, kShape[0], kShape[1], kShape[2]})) {
    const at::Tensor coarse = 6.0 * at::randn({1, 3, 8, 8, 8});
    field = at::upsample_trilinear3d(coarse, kShape, true);
    std::vector<at::Tensor> axes;
    for (std::size_t axis = 3; axis-- > 0;) {
      std::vector<std::int64_t> shape(3, 1);
      shape[axis] = kShape[axis];
      axes.push_back(at::arange(kShape[axis], at::kFloat).view(shape).expand(kShape));
    }
    identity = at::stack(axes, 0).unsqueeze(0);
    scale = at::tensor({2.0F / 223.0F, 2.0F / 191.0F, 2.0F / 159.0F}).view({1, 3, 1, 1, 1});
  }
  at::Tensor grid(const at::Tensor& u) const {
    return ((identity + u) * scale - 1.0).permute({0, 2, 3, 4, 1});
  }
  at::Tensor grid_sampler(const at::Tensor& from, const at::Tensor& u) const {
    return at::grid_sampler(from, grid(u), 0, 0, true);
  }
  at::Tensor image, field, identity, scale;
};

void warp_linear(benchmark::State& state) {
  const at::NoGradGuard no_grad;
  const Setup s;
  for (auto _ : state) benchmark::DoNotOptimize(warp_voxels(s.image, s.field).data_ptr());
  const at::Tensor difference = warp_voxels(s.image, s.field) - s.grid_sampler(s.image, s.field);
  state.counters["largest_difference"] = difference.abs().max().item<double>();
}

void warp_cubic(benchmark::State& state) {
  const at::NoGradGuard no_grad;
  const Setup s;
  const WarpOptions options{WarpInterpolation::kCubic, WarpPadding::kZero};
  for (auto _ : state) benchmark::DoNotOptimize(warp_voxels(s.image, s.field, options).data_ptr());
}

void torch_linear(benchmark::State& state) {
  const at::NoGradGuard no_grad;
  const Setup s;
  for (auto _ : state) benchmark::DoNotOptimize(s.grid_sampler(s.image, s.field).data_ptr());
}

void torch_sampling(benchmark::State& state) {
  const at::NoGradGuard no_grad;
  const Setup s;
  const at::Tensor grid = s.grid(s.field).contiguous();
  for (auto _ : state)
    benchmark::DoNotOptimize(at::grid_sampler(s.image, grid, 0, 0, true).data_ptr());
}

/// Forward and both gradients.
template <class Sample>
void step(benchmark::State& state, Sample sample) {
  const Setup s;
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

void settings(benchmark::internal::Benchmark* bench) {
  bench->Unit(benchmark::kMillisecond)->MeasureProcessCPUTime()->UseRealTime();
}

BENCHMARK(warp_linear)->Apply(settings);
BENCHMARK(torch_linear)->Apply(settings);
BENCHMARK(torch_sampling)->Apply(settings);
BENCHMARK(warp_cubic)->Apply(settings);
BENCHMARK(warp_step)->Apply(settings);
BENCHMARK(torch_step)->Apply(settings);

}  // namespace
}  // namespace triptych::benchmarks
