// SPDX-License-Identifier: Apache-2.0
#include "framework/ops/ssim.h"

#include "tests/support/tensor_matchers.h"

#include <cmath>

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/autograd.h>

namespace triptych {
namespace {

/// Structural similarity of one window of [D, H, W], voxel by voxel as in the paper.
double one_window(const at::Tensor& a, const at::Tensor& b, double sigma, double range) {
  const auto x = a.accessor<double, 3>(), y = b.accessor<double, 3>();
  double total = 0.0, mean_a = 0.0, mean_b = 0.0, aa = 0.0, bb = 0.0, ab = 0.0;
  const auto visit = [&](auto body) {
    for (std::int64_t d = 0; d < a.size(0); ++d) {
      for (std::int64_t h = 0; h < a.size(1); ++h) {
        for (std::int64_t w = 0; w < a.size(2); ++w) {
          double square = 0.0;
          const std::int64_t index[] = {d, h, w};
          for (std::int64_t i = 0; i < 3; ++i)
            square += std::pow(static_cast<double>(2 * index[i] - a.size(i) + 1) / 2.0, 2);
          body(std::exp(-square / (2.0 * sigma * sigma)), x[d][h][w], y[d][h][w]);
        }
      }
    }
  };
  visit([&](double g, double, double) { total += g; });
  visit([&](double g, double u, double v) {
    mean_a += g / total * u;
    mean_b += g / total * v;
  });
  visit([&](double g, double u, double v) {
    aa += g / total * (u - mean_a) * (u - mean_a);
    bb += g / total * (v - mean_b) * (v - mean_b);
    ab += g / total * (u - mean_a) * (v - mean_b);
  });
  const double c1 = std::pow(0.01 * range, 2), c2 = std::pow(0.03 * range, 2);
  return (2.0 * mean_a * mean_b + c1) * (2.0 * ab + c2) /
         ((mean_a * mean_a + mean_b * mean_b + c1) * (aa + bb + c2));
}

TEST(Ssim, EqualsTheFormulaInEveryWindow) {
  const at::Tensor a = at::rand({2, 2, 2, 13, 12}, at::kDouble) * 3.0;
  const at::Tensor b = a + 0.4 * at::randn_like(a);
  const at::Tensor map = ssim_map(a, b, {.data_range = 3.0});
  ASSERT_EQ(map.sizes(), (std::vector<std::int64_t>{2, 2, 2, 3, 2}));
  for (const auto& [n, c, d, h, w] :
       {std::array<std::int64_t, 5>{0, 0, 0, 0, 0}, {1, 0, 1, 2, 1}}) {
    const auto window = [&, n = n, c = c, d = d, h = h, w = w](const at::Tensor& x) {
      return x[n][c].narrow(0, d, 1).narrow(1, h, 11).narrow(2, w, 11);
    };
    EXPECT_NEAR(
        map[n][c][d][h][w].item<double>(), one_window(window(a), window(b), 1.5, 3.0), 1e-9);
  }
}

TEST(Ssim, TakesWindowsOfAVolume) {
  const at::Tensor a = at::rand({1, 1, 5, 6, 5}, at::kDouble),
                   b = at::rand({1, 1, 5, 6, 5}, at::kDouble);
  const at::Tensor map = ssim_map(a, b, {.dimensions = 3, .window = 5});
  ASSERT_EQ(map.sizes(), (std::vector<std::int64_t>{1, 1, 1, 2, 1}));
  EXPECT_NEAR(map[0][0][0][1][0].item<double>(),
              one_window(a[0][0].narrow(1, 1, 5), b[0][0].narrow(1, 1, 5), 1.5, 1.0),
              1e-9);
}

TEST(Ssim, IsOneForEqualImagesAndKnownForConstantOnes) {
  const at::Tensor a = at::rand({1, 1, 1, 4, 16});
  EXPECT_TRUE(testing::near(ssim_map(a, a, {}), at::ones({1, 1, 1, 2, 6}), 1e-5));
  const at::Tensor map =
      ssim_map(at::full({1, 1, 1, 11, 11}, 0.2), at::full({1, 1, 1, 11, 11}, 0.6), {});
  EXPECT_NEAR(map.item<double>(), (2.0 * 0.12 + 1e-4) / (0.04 + 0.36 + 1e-4), 1e-4);
}

TEST(Ssim, HasTheGradientOfFiniteDifferences) {
  at::Tensor a = at::rand({1, 1, 1, 12, 12}, at::kDouble);
  const at::Tensor b = at::rand_like(a), direction = at::randn_like(a);
  a.requires_grad_(true);
  const at::Tensor gradient = torch::autograd::grad({ssim_map(a, b, {}).mean()}, {a})[0];
  const auto value = [&](double step) {
    return ssim_map(a.detach() + step * direction, b, {}).mean().item<double>();
  };
  EXPECT_NEAR(
      (gradient * direction).sum().item<double>(), (value(1e-5) - value(-1e-5)) / 2e-5, 1e-7);
}

TEST(Ssim, RefusesImagesOfDifferentShapes) {
  testing::error_message("shape", [] {
    ssim_map(at::rand({1, 1, 1, 12, 12}), at::rand({1, 1, 1, 12, 13}), {});
  });
}

}  // namespace
}  // namespace triptych
