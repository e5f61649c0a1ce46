// SPDX-License-Identifier: Apache-2.0
// Sampling slices and carrying predictions back, without a network: arguments are the edge of the
// volume, the plane sets (1, 3, 9) and whether the stores lie in a scratch file.
#include "framework/core/nn.h"
#include "framework/infer/plane_fusion.h"
#include "framework/infer/vote_accumulator.h"

#include <filesystem>

#include <benchmark/benchmark.h>

namespace triptych::benchmarks {
namespace {

constexpr std::int64_t kClasses = 4;

/// Stands for the network: four fixed channels, so that time goes to sampling and fusion.
at::Tensor stand_in(const at::Tensor& slab) {
  return slab.expand({1, kClasses, 1, slab.size(3), slab.size(4)}) * 0.25;
}

void fuse(benchmark::State& state) {
  const std::int64_t edge = state.range(0);
  const int sets = static_cast<int>(state.range(1));
  const auto scratch = std::filesystem::temp_directory_path();
  const Index3 shape{edge, edge, edge};
  MemoryBudget budget(state.range(2) != 0 ? 0 : std::int64_t{8} << 30);
  VolumeStore input(1, shape, at::kFloat, budget, scratch);
  at::Tensor values = input.tensor();
  values.uniform_();
  for (auto _ : state) {
    VoteAccumulator fusion(
        {.shape = shape, .classes = kClasses, .max_predictions = sets, .votes = true},
        budget,
        scratch);
    VolumeAccumulator* const receivers[] = {&fusion};
    for (const PlaneSet& planes : make_plane_sets(shape, sets))
      run_plane_set({.input = input}, planes, stand_in, receivers);
    benchmark::DoNotOptimize(fusion.finish("soft", {.probabilities = true}).labels);
  }
  state.SetItemsProcessed(state.iterations() * edge * edge * edge * sets);
}

void sizes(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"edge", "sets", "scratch"})
      ->Unit(benchmark::kMillisecond)
      ->MeasureProcessCPUTime()
      ->UseRealTime();
  for (const std::int64_t sets : {1, 3, 9}) bench->Args({128, sets, 0});
  bench->Args({128, 9, 1});
}

BENCHMARK(fuse)->Apply(sizes);

}  // namespace
}  // namespace triptych::benchmarks
