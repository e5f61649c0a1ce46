// SPDX-License-Identifier: Apache-2.0
// Whole-slice inference, one slice at a time: arguments are width, depth and image size.
#include "framework/core/nn.h"
#include "framework/core/torch_compat.h"

#include "tests/benchmark/plain_unet.h"

#include <benchmark/benchmark.h>

namespace triptych::benchmarks {
namespace {

/// One network in three forms and one input; the same for all cases of a size.
struct Setup {
  Setup(std::int64_t width, std::int64_t depth, std::int64_t size)
      : net(make_unet(width, depth)),
        plain(*net, depth),
        head(at::randn({4, width, 1, 1}) / std::sqrt(static_cast<double>(width))) {
    net->eval();
    folded = net->folded();
    image = at::randn({1, 1, 1, size, size});
    macs = static_cast<double>(net->cost({1, size, size}).multiply_adds);
  }

  at::Tensor plain_logits() const {
    return at::conv2d(plain.forward(image.select(2, 0), false), head);
  }
  at::Tensor logits(Backbone& backbone) const {
    const at::Tensor features = backbone.forward(image).level(0).squeeze(2);
    return at::conv2d(features, head.to(features.scalar_type()));
  }

  std::shared_ptr<Backbone> net, folded;
  PlainUnet plain;
  at::Tensor head, image;
  double macs = 0.0;
};

const Setup& setup(const benchmark::State& state) {
  static std::map<std::vector<std::int64_t>, std::unique_ptr<Setup>> setups;
  const std::vector<std::int64_t> key = {state.range(0), state.range(1), state.range(2)};
  auto& entry = setups[key];
  if (!entry) entry = std::make_unique<Setup>(key[0], key[1], key[2]);
  return *entry;
}

template <class Forward>
void measure(benchmark::State& state, Forward forward) {
  const c10::InferenceMode inference;
  const Setup& s = setup(state);
  const at::Tensor expected = s.plain_logits();
  const at::Tensor actual = forward(s).to(at::kFloat);
  state.counters["max_abs_diff"] = (actual - expected).abs().max().template item<double>();
  state.counters["logit_std"] = expected.std().item<double>();
  for (auto _ : state) benchmark::DoNotOptimize(forward(s).data_ptr());
  state.counters["GFLOP/s"] =
      benchmark::Counter(2e-9 * s.macs, benchmark::Counter::kIsIterationInvariantRate);
}

void plain_nchw(benchmark::State& state) {
  measure(state, [](const Setup& s) { return s.plain_logits(); });
}
void unfolded(benchmark::State& state) {
  measure(state, [](const Setup& s) { return s.logits(*s.net); });
}
void folded(benchmark::State& state) {
  measure(state, [](const Setup& s) { return s.logits(*s.folded); });
}
void folded_bfloat16(benchmark::State& state) {
  measure(state, [](const Setup& s) {
    const Autocast autocast(true, c10::kCPU);
    return s.logits(*s.folded);
  });
}

void sizes(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"width", "depth", "size"})
      ->Args({32, 4, 256})
      ->Args({32, 3, 384})
      ->MeasureProcessCPUTime()
      ->UseRealTime();
  bench->Unit(benchmark::kMillisecond);
}

BENCHMARK(plain_nchw)->Apply(sizes);
BENCHMARK(unfolded)->Apply(sizes);
BENCHMARK(folded)->Apply(sizes);
BENCHMARK(folded_bfloat16)->Apply(sizes);

}  // namespace
}  // namespace triptych::benchmarks
