// SPDX-License-Identifier: Apache-2.0
// Parallel-beam projection, its adjoint and filtered back projection: arguments are the edge of the
// slices (and detector columns), the number of slices and of angles.
#include "framework/core/nn.h"
#include "framework/ops/filtered_back_projection.h"

#include <numbers>

#include <benchmark/benchmark.h>

namespace triptych::benchmarks {
namespace {

struct Setup {
  explicit Setup(const benchmark::State& state)
      : edge(state.range(0)), slices(state.range(1)), angles(state.range(2)) {
    for (std::int64_t i = 0; i < angles; ++i) {
      scan.angles_rad.push_back(std::numbers::pi * static_cast<double>(i) /
                                static_cast<double>(angles));
    }
    scan.centre_column = 0.5 * static_cast<double>(edge - 1);
    grid = SliceGrid::centred(edge, edge);
  }
  std::int64_t edge, slices, angles;
  ScanGeometry scan;
  SliceGrid grid;
};

template <class Operation>
void measure(benchmark::State& state, const at::Tensor& input, Operation operation) {
  const at::NoGradGuard no_grad;
  for (auto _ : state) benchmark::DoNotOptimize(operation(input).data_ptr());
  const double samples =
      static_cast<double>(state.range(0) * state.range(0) * state.range(1) * state.range(2));
  state.counters["Gsamples/s"] =
      benchmark::Counter(1e-9 * samples, benchmark::Counter::kIsIterationInvariantRate);
}

void forward(benchmark::State& state) {
  const Setup s(state);
  measure(state, at::rand({s.slices, s.edge, s.edge}), [&](const at::Tensor& image) {
    return project(image, s.scan, s.edge, s.grid);
  });
}

void adjoint(benchmark::State& state) {
  const Setup s(state);
  measure(state, at::rand({s.slices, s.angles, s.edge}), [&](const at::Tensor& projections) {
    return back_project(projections, s.scan, s.grid);
  });
}

void filter(benchmark::State& state) {
  const Setup s(state);
  measure(state, at::rand({s.slices, s.angles, s.edge}), [&](const at::Tensor& projections) {
    return filter_projections(projections, s.scan);
  });
}

void filtered(benchmark::State& state) {
  const Setup s(state);
  measure(state, at::rand({s.slices, s.angles, s.edge}), [&](const at::Tensor& projections) {
    return fbp(projections, s.scan, s.grid);
  });
}

void sizes(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"edge", "slices", "angles"})
      ->Args({512, 64, 360})
      ->Args({512, 1, 360})
      ->Unit(benchmark::kMillisecond)
      ->MeasureProcessCPUTime()
      ->UseRealTime();
}

BENCHMARK(forward)->Apply(sizes);
BENCHMARK(adjoint)->Apply(sizes);
BENCHMARK(filter)->Apply(sizes);
BENCHMARK(filtered)->Apply(sizes);

}  // namespace
}  // namespace triptych::benchmarks
