// SPDX-License-Identifier: Apache-2.0
// A convolution of three columns (cross_stitch), one by one and as one with three groups: forward
// and backward, in the shapes of joint_implant and wider ones.
#include "framework/core/nn.h"

#include <string>
#include <utility>
#include <vector>

#include <benchmark/benchmark.h>

namespace triptych::benchmarks {
namespace {

constexpr std::int64_t kColumns = 3;

struct Shape {
  std::int64_t images, channels, depth, side;
};

torch::nn::Conv3d convolution(const Shape& shape, std::int64_t groups) {
  const std::int64_t depth = shape.depth == 1 ? 1 : 3;
  const std::int64_t channels = shape.channels * groups;
  return torch::nn::Conv3d(torch::nn::Conv3dOptions(channels, channels, {depth, 3, 3})
                               .padding({depth / 2, 1, 1})
                               .groups(groups));
}

at::Tensor features(const Shape& shape, std::int64_t groups) {
  return at::randn({shape.images, shape.channels * groups, shape.depth, shape.side, shape.side})
      .requires_grad_();
}

void apart(benchmark::State& state, const Shape& shape) {
  std::vector<torch::nn::Conv3d> columns;
  std::vector<at::Tensor> inputs;
  for (std::int64_t c = 0; c < kColumns; ++c) {
    columns.push_back(convolution(shape, 1));
    inputs.push_back(features(shape, 1));
  }
  for (auto _ : state) {
    at::Tensor sum = torch::zeros({});
    for (std::size_t c = 0; c < columns.size(); ++c)
      sum = sum + columns[c](inputs[c]).square().sum();
    sum.backward();
  }
}

void grouped(benchmark::State& state, const Shape& shape) {
  torch::nn::Conv3d columns = convolution(shape, kColumns);
  const at::Tensor input = features(shape, kColumns);
  for (auto _ : state) columns(input).square().sum().backward();
}

constexpr Shape kShapes[] = {{4, 12, 1, 48},
                             {4, 24, 1, 24},
                             {4, 48, 1, 12},
                             {4, 32, 1, 128},
                             {4, 128, 1, 32},
                             {1, 12, 24, 24},
                             {2, 12, 24, 24}};

const bool kRegistered = [] {
  for (const auto& [name, side] : {std::pair("apart", &apart), std::pair("grouped", &grouped)}) {
    for (const Shape& shape : kShapes) {
      const std::string title = std::string(name) + "/" + std::to_string(shape.images) + "x" +
                                std::to_string(shape.channels) + "x" + std::to_string(shape.depth) +
                                "x" + std::to_string(shape.side);
      benchmark::RegisterBenchmark(
          title.c_str(), [side = side, shape](benchmark::State& state) { side(state, shape); })
          ->Unit(benchmark::kMillisecond)
          ->Iterations(3)
          ->MeasureProcessCPUTime()
          ->UseRealTime();
    }
  }
  return true;
}();

}  // namespace
}  // namespace triptych::benchmarks
