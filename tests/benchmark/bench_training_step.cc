// SPDX-License-Identifier: Apache-2.0
// One training step: forward, cross-entropy, backward, Adam. Arguments are width, depth, image size
// and batch size.
#include "framework/core/nn.h"
#include "framework/core/torch_compat.h"

#include "tests/benchmark/plain_unet.h"

#include <benchmark/benchmark.h>
#include <torch/optim/adam.h>

namespace triptych::benchmarks {
namespace {

enum class Form { kPlain, kBackbone, kBackboneBfloat16 };

void step(benchmark::State& state, Form form) {
  const std::int64_t width = state.range(0), depth = state.range(1), size = state.range(2),
                     batch = state.range(3);
  const auto net = make_unet(width, depth);
  const PlainUnet plain(*net, depth);
  at::Tensor head =
      (at::randn({4, width, 1, 1}) / std::sqrt(static_cast<double>(width))).requires_grad_();
  std::vector<at::Tensor> parameters =
      form == Form::kPlain ? plain.parameters() : net->parameters();
  parameters.push_back(head);
  torch::optim::Adam optimizer(parameters, torch::optim::AdamOptions(3e-4));
  const at::Tensor image = at::randn({batch, 1, 1, size, size});
  const at::Tensor labels = (image.squeeze(1).squeeze(1) * 1.5 + 2.0).clamp(0, 3).to(at::kLong);
  double loss_value = 0.0;
  for (auto _ : state) {
    optimizer.zero_grad();
    at::Tensor logits;
    {
      const Autocast autocast(form == Form::kBackboneBfloat16, c10::kCPU);
      const at::Tensor features = form == Form::kPlain ? plain.forward(image.select(2, 0), true)
                                                       : net->forward(image).level(0).squeeze(2);
      logits = at::conv2d(features, head);
    }
    const at::Tensor loss = at::cross_entropy_loss(logits.to(at::kFloat), labels);
    loss.backward();
    optimizer.step();
    loss_value = loss.item<double>();
  }
  state.counters["last_loss"] = loss_value;
  state.SetItemsProcessed(state.iterations() * batch);
}

void sizes(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"width", "depth", "size", "batch"})
      ->Args({32, 4, 256, 4})
      ->Unit(benchmark::kMillisecond);
  bench->Iterations(3)->MeasureProcessCPUTime()->UseRealTime();
}

BENCHMARK_CAPTURE(step, plain_nchw, Form::kPlain)->Apply(sizes);
BENCHMARK_CAPTURE(step, backbone, Form::kBackbone)->Apply(sizes);
BENCHMARK_CAPTURE(step, backbone_bfloat16, Form::kBackboneBfloat16)->Apply(sizes);

}  // namespace
}  // namespace triptych::benchmarks
