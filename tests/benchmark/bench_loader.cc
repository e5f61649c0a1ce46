// SPDX-License-Identifier: Apache-2.0
// Batches of phantom slices: the argument is the number of loader threads (0 = on the calling
// thread).
#include "framework/core/nn.h"
#include "framework/data/loader.h"

#include <benchmark/benchmark.h>

namespace triptych::benchmarks {
namespace {

constexpr std::int64_t kBatch = 8;

Loader::Source phantom_source() {
  config::Node node = config::Node::map();
  node.set("name", config::Node("implant_phantom"));
  node.set("train", config::Node(2));
  node.set("validation", config::Node(0));
  node.set("test", config::Node(0));
  const std::shared_ptr<const Dataset> dataset = DatasetRegistry::instance().create(node);
  const std::vector<std::size_t> samples = dataset->split("train");
  for (const std::size_t sample : samples)
    dataset->read_sample(sample, {"srct", "label"});  // fills the cache
  Loader::Source source;
  source.dataset = dataset;
  source.sampler =
      std::make_shared<Sampler>(dataset, samples, SamplingConfig{}, "srct", "label", 0);
  source.roles = {{"image", "srct", true}, {"label", "label", true}};
  source.batch_size = kBatch;
  std::vector<config::Node> chain;
  for (const char* name : {"spatial", "brightness", "contrast", "gaussian_noise"}) {
    chain.push_back(config::Node::map());
    chain.back().set("name", config::Node(name));
  }
  chain[0].set("rotation_deg", config::Node(90.0));
  chain[0].set("elastic_voxels", config::Node(2.0));
  source.transforms = std::make_shared<TransformChain>(chain);
  return source;
}

void batches(benchmark::State& state) {
  static const Loader::Source source = phantom_source();
  Loader loader(source, {.threads = state.range(0), .queue = 4}, 0, std::int64_t{1} << 40);
  for (auto _ : state) benchmark::DoNotOptimize(loader.next().size());
  state.SetItemsProcessed(state.iterations() * kBatch);
  state.counters["waiting"] = loader.seconds_waiting();
}

BENCHMARK(batches)
    ->ArgName("threads")
    ->Arg(0)
    ->Arg(1)
    ->Arg(2)
    ->Arg(4)
    ->Unit(benchmark::kMillisecond)
    ->MeasureProcessCPUTime()
    ->UseRealTime();

}  // namespace
}  // namespace triptych::benchmarks
